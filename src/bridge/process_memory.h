// How much memory the process has taken while V8's code ran. V8's parser, its sorts and its copies use memory that no
// limit of its heap knows. Called by the watcher's thread alone.
#pragma once

#include "bridge.h"

namespace maint_v8 {

// What a session may use beyond maint_v8.memory_limit for a moment, before it is ended: V8's heap keeps garbage until
// it collects, and grows by its largest object at once.
constexpr size_t kMemoryMargin = size_t{512} * 1024 * 1024;

enum class MemoryUse {
  kFits,
  kInDoubt,   // more than the limit, some of it perhaps garbage: worth a collection
  kTooMuch,
};

// Called with every poll while JavaScript runs.
MemoryUse look_at_memory();

// No JavaScript runs: what the process takes now is not JavaScript's.
void pause_memory_watch();

// The isolate is gone, and its memory with it. Called on the main thread.
void restart_memory_watch();

}  // namespace maint_v8
