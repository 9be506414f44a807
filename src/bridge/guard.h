// The wall between the server's errors, which jump, and C++, whose frames must not be jumped over.
#pragma once

#include "bridge.h"

namespace maint_v8 {

// Runs work(argument) and catches an error of the server. Returns null, or the error, copied to TopTransactionContext so
// that it outlives a rollback to a savepoint; whoever gets it calls FreeErrorData. The memory context is the same as
// before. Nothing with a destructor may live inside work.
ErrorData *run_guarded(void (*work)(void *), void *argument) noexcept;

// Whether the server's code runs, called by ours, rather than V8's. Read by the watcher's thread and by the handler of
// its signal.
bool in_server();

// V8's code runs for the life of this object, though the server that called it is at work below.
class OutsideServer {
 public:
  OutsideServer();
  ~OutsideServer();
  OutsideServer(const OutsideServer &) = delete;
  OutsideServer &operator=(const OutsideServer &) = delete;

 private:
  int before_;
};

template <typename Work>
ErrorData *guarded(Work &&work) noexcept {
  using Plain = std::remove_reference_t<Work>;
  return run_guarded([](void *argument) { (*static_cast<Plain *>(argument))(); }, &work);
}

// A subtransaction of the server's own kind, as procedural languages use it. The three calls return what run_guarded
// returns; after a failed commit the caller rolls back.
class Subtransaction {
 public:
  ErrorData *begin() noexcept;
  ErrorData *commit() noexcept;
  ErrorData *roll_back() noexcept;

 private:
  MemoryContext memory_context_ = nullptr;
  ResourceOwner resource_owner_ = nullptr;
};

// Makes a memory context current for the life of a C++ scope.
class MemoryContextScope {
 public:
  explicit MemoryContextScope(MemoryContext context) : previous_(MemoryContextSwitchTo(context)) {}
  ~MemoryContextScope() { MemoryContextSwitchTo(previous_); }
  MemoryContextScope(const MemoryContextScope &) = delete;
  MemoryContextScope &operator=(const MemoryContextScope &) = delete;

 private:
  MemoryContext previous_;
};

}  // namespace maint_v8
