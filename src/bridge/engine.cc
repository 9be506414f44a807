#include "engine.h"

#include "api.h"
#include "function_cache.h"
#include "guard.h"
#include "memory_limit.h"
#include "prepared.h"
#include "text.h"
#include "watcher.h"

namespace maint_v8 {

namespace {

// JavaScript ends this much before the server's own stack limit, so that what it calls finds some room. Below
// max_stack_depth there are always 512 kB more (STACK_DEPTH_SLOP), which V8's own code may use.
constexpr uintptr_t kStackReserve = 48 * 1024;
// Making a context can't be interrupted by a stack overflow: it gets this much from the slop.
constexpr uintptr_t kStackForNewContext = 256 * 1024;

v8::Platform *platform = nullptr;

// Never destroyed: when the process exits, frames of JavaScript may still be on the stack.
std::unordered_map<Oid, std::unique_ptr<RoleContext>> &role_contexts() {
  static auto *contexts = new std::unordered_map<Oid, std::unique_ptr<RoleContext>>();
  return *contexts;
}

// V8 aborts the process when this returns, and the postmaster would then restart every session: end only this one.
[[noreturn]] void give_up(const char *location, const char *message) {
  ereport(FATAL, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("maint_v8: the JavaScript engine can't go on: %s", message),
                  errdetail("Reported by %s.", location == nullptr ? "V8" : location)));
  pg_unreachable();
}

void on_fatal_error(const char *location, const char *message) { give_up(location, message); }

#if V8_MAJOR_VERSION >= 11
void on_out_of_memory(const char *location, const v8::OOMDetails &) { give_up(location, "out of memory"); }
#else
void on_out_of_memory(const char *location, bool) { give_up(location, "out of memory"); }
#endif

void start_platform() {
  // No thread of V8 must ever run in a backend: a signal would be handled on it, far from the server's state.
  // WebAssembly is off since its memory knows no limit.
  const char flags[] = "--single-threaded --no-expose-wasm --no-harmony-sharedarraybuffer";
  v8::V8::SetFlagsFromString(flags, sizeof(flags) - 1);
  platform = v8::platform::NewSingleThreadedDefaultPlatform().release();
  v8::V8::InitializePlatform(platform);
  v8::V8::Initialize();
}

void make_isolate() {
  Engine &state = engine();
  state.memory_limit_used = memory_limit_setting;
  state.heap_limit = static_cast<size_t>(memory_limit_setting) * 1024 * 1024;
  state.allocator = new LimitedAllocator(state.heap_limit);
  v8::Isolate::CreateParams parameters;
  parameters.array_buffer_allocator = state.allocator;
  parameters.allow_atomics_wait = false;
  parameters.constraints.ConfigureDefaultsFromHeapSize(0, state.heap_limit);
  state.isolate = v8::Isolate::New(parameters);
  state.stack_limit = 0;
  state.isolate->SetFatalErrorHandler(on_fatal_error);
  state.isolate->SetOOMErrorHandler(on_out_of_memory);
  state.isolate->AddNearHeapLimitCallback(near_heap_limit, nullptr);
  state.isolate->AddGCEpilogueCallback(after_collection, v8::kGCTypeMarkSweepCompact);
  state.isolate->SetCaptureStackTraceForUncaughtExceptions(false);
}

// Only when no JavaScript is running.
void drop_isolate() {
  Engine &state = engine();
  watch(nullptr);
  forget_all_functions();
  forget_all_plans();
  role_contexts().clear();
  state.isolate->Dispose();
  delete state.allocator;
  state.isolate = nullptr;
  state.allocator = nullptr;
}

// The end of the stack for JavaScript, from where the server's stack begins and max_stack_depth as it is now.
void set_stack_limit() {
  Engine &state = engine();
  pg_stack_base_t base = set_stack_base();
  restore_stack_base(base);
  uintptr_t depth = static_cast<uintptr_t>(max_stack_depth) * 1024;
  uintptr_t limit = reinterpret_cast<uintptr_t>(base) - depth + std::min(kStackReserve, depth / 4);
  if (limit == state.stack_limit) return;
  state.stack_limit = limit;
  state.isolate->SetStackLimit(limit);
}

}  // namespace

int memory_limit_setting = 256;

Engine &engine() {
  static Engine *state = new Engine();
  return *state;
}

bool enter_engine() {
  Engine &state = engine();
  if (platform == nullptr) {
    start_platform();
    if (!start_watcher()) return false;
  }
  if (state.depth == 0) {
    if (state.isolate != nullptr && state.memory_limit_used != memory_limit_setting) drop_isolate();
    if (state.isolate == nullptr) make_isolate();
    state.stop = StopReason::kNone;
    state.stop_error = nullptr;
    state.allocator->clear_refusal();
    watch(state.isolate);
  }
  set_stack_limit();
  state.depth++;
  return true;
}

void leave_engine(RoleContext *previous) {
  Engine &state = engine();
  state.active = previous;
  // The stop goes on in the frames below, by the error that this call raises there.
  if (state.isolate->IsExecutionTerminating() || stopping()) state.isolate->CancelTerminateExecution();
  if (--state.depth > 0) return;
  watch(nullptr);
  if (state.stop == StopReason::kOutOfMemory) drop_isolate();
  state.stop = StopReason::kNone;
  free_dropped_plans();
}

void run_pending_tasks() {
  constexpr int kMost = 100;
  for (int count = 0; count < kMost; count++) {
    if (!v8::platform::PumpMessageLoop(platform, engine().isolate)) break;
  }
}

RoleContext *current_role_context() {
  Engine &state = engine();
  std::unique_ptr<RoleContext> &entry = role_contexts()[GetUserId()];
  if (entry == nullptr) entry = std::make_unique<RoleContext>();
  if (!entry->context.IsEmpty()) return entry.get();
  uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  state.isolate->SetStackLimit(std::min(state.stack_limit, here - kStackForNewContext));
  bool made = make_context(*entry);
  state.isolate->SetStackLimit(state.stack_limit);
  entry->role = GetUserId();
  return made ? entry.get() : nullptr;
}

void stop_javascript(StopReason reason, ErrorData *error) {
  Engine &state = engine();
  // An interrupt that a nested call has served lives on as the error that it raised there.
  if (state.stop == StopReason::kNone || (state.stop == StopReason::kInterrupt && error != nullptr)) {
    state.stop = reason;
    state.stop_error = error;
  } else if (error != nullptr) {
    FreeErrorData(error);
  }
  state.isolate->TerminateExecution();
}

void stop_javascript_here(StopReason reason, ErrorData *error) {
  stop_javascript(reason, error);
  Engine &state = engine();
  if (state.active == nullptr) return;
  v8::Local<v8::Context> context = state.isolate->GetCurrentContext();
  v8::Local<v8::Function> nothing = state.active->nothing.Get(state.isolate);
  ignore(nothing->Call(context, v8::Undefined(state.isolate), 0, nullptr));
}

size_t near_heap_limit(void *, size_t current_limit, size_t) {
  Engine &state = engine();
  stop_javascript(StopReason::kOutOfMemory);
  // Room to come to an end: the stop takes effect at the next call or loop of JavaScript.
  return current_limit + std::max<size_t>(state.heap_limit / 2, 64 * 1024 * 1024);
}

void after_collection(v8::Isolate *isolate, v8::GCType, v8::GCCallbackFlags) {
  Engine &state = engine();
  v8::HeapStatistics heap;
  isolate->GetHeapStatistics(&heap);
  state.allocator->set_heap_in_use(heap.used_heap_size());
  if (heap.used_heap_size() + state.allocator->in_use() > state.heap_limit && state.depth > 0) {
    stop_javascript(StopReason::kOutOfMemory);
  }
}

}  // namespace maint_v8
