// One V8 isolate per backend, one context per role in it, and the rules by which JavaScript is entered and stopped.
#pragma once

#include "bridge.h"

namespace maint_v8 {

class LimitedAllocator;

// Why running JavaScript was stopped without a chance to catch it.
enum class StopReason { kNone, kInterrupt, kServerError, kOutOfMemory };

// The globals of one role.
struct RoleContext {
  Oid role = InvalidOid;
  v8::Global<v8::Context> context;
  v8::Global<v8::ObjectTemplate> plan_template;
  v8::Global<v8::Function> nothing;  // function () {}: entering it lets a requested stop take effect
};

struct Engine {
  v8::Isolate *isolate = nullptr;
  LimitedAllocator *allocator = nullptr;
  int depth = 0;                    // calls from SQL into JavaScript that are under way
  RoleContext *active = nullptr;    // the context of the innermost of them
  StopReason stop = StopReason::kNone;
  ErrorData *stop_error = nullptr;  // of kServerError, in TopTransactionContext
  size_t memory_limit = 0;          // bytes, of this isolate
  int memory_limit_used = 0;        // the value of maint_v8.memory_limit it was made with
  uintptr_t stack_limit = 0;
  bool memory_in_doubt = false;     // more in use than allowed, some of it perhaps garbage
};

// maint_v8.memory_limit, in MB.
extern int memory_limit_setting;

Engine &engine();

// Called for every call from SQL, before anything else of V8. Makes the isolate where there is none. Raises nothing;
// false if V8 can't be started.
bool enter_engine();
// A call from SQL that is about to end: false, and JavaScript stopped, if it leaves more memory in use than it may.
bool memory_fits();

// The same for loops of C++ that make many values: looks only if a garbage collection gave cause.
bool memory_fits_so_far();

// Called when all scopes of V8 of the call are closed.
void leave_engine(RoleContext *previous);

// Runs what V8 has put off, at the end of the outermost call.
void run_pending_tasks();

// The context of the current role, made on first use. Needs an open HandleScope; null if it can't be made.
RoleContext *current_role_context();

// Stops all JavaScript up to the outermost call: no catch and no finally runs any more. It takes effect at the next
// call or loop.
void stop_javascript(StopReason reason, ErrorData *error = nullptr);
// The same for a callback that JavaScript called, which has to return at once: it takes effect there.
void stop_javascript_here(StopReason reason, ErrorData *error = nullptr);

// True once JavaScript is being stopped; work in C++ looks at it in its loops.
inline bool stopping() { return engine().stop != StopReason::kNone; }

// For its life V8 may use a part of the stack that is kept from JavaScript: what it does then can't overflow.
class MoreStack {
 public:
  MoreStack();
  ~MoreStack();
  MoreStack(const MoreStack &) = delete;
  MoreStack &operator=(const MoreStack &) = delete;
};

}  // namespace maint_v8
