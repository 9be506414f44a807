#include "engine.h"

#include "api.h"
#include "function_cache.h"
#include "guard.h"
#include "memory_limit.h"
#include "prepared.h"
#include "process_memory.h"
#include "text.h"
#include "watcher.h"

#include <signal.h>

namespace maint_v8 {

namespace {

// JavaScript ends this much before the server's own stack limit, so that what it calls finds some room. Below
// max_stack_depth there are always 512 kB more (STACK_DEPTH_SLOP), which V8's own code may use.
constexpr uintptr_t kStackReserve = 48 * 1024;
// What MoreStack takes from there.
constexpr uintptr_t kMoreStack = 192 * 1024;

// V8 ends the session when one object does not fit under its own limit. That lies above ours, which is kept by looking
// after each garbage collection and ends only the statement. Too high costs the machine its memory, too low ends sessions.
constexpr size_t kHeadroom = kMemoryMargin * 3 / 4;
constexpr size_t kLargestYoung = size_t{24} * 1024 * 1024;
constexpr size_t kLastHeadroom = kMemoryMargin / 4;

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

// Some limits of V8, such as that on an array's length in a few builtins, end in a trap instruction without asking the
// handlers above. A crash of one backend would restart all: here, too, only the session ends. The trap comes from V8's
// code on this thread, never in the middle of the server's.
void on_trap(int signal_number) {
  if (engine().depth > 0) give_up(nullptr, "a limit was exceeded");
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

void start_platform() {
  signal(SIGTRAP, on_trap);
  // No thread of V8 must ever run in a backend: a signal would be handled on it, far from the server's state.
  // WebAssembly is off since its memory knows no limit.
  const char flags[] = "--single-threaded --no-expose-wasm --no-harmony-sharedarraybuffer";
  v8::V8::SetFlagsFromString(flags, sizeof(flags) - 1);
  platform = v8::platform::NewSingleThreadedDefaultPlatform().release();
  v8::V8::InitializePlatform(platform);
  v8::V8::Initialize();
}

size_t memory_in_use() {
  v8::HeapStatistics heap;
  engine().isolate->GetHeapStatistics(&heap);
  engine().allocator->set_heap_in_use(heap.used_heap_size());
  return heap.used_heap_size() + engine().allocator->in_use();
}

// Collects all garbage and looks again.
void settle_memory() {
  Engine &state = engine();
  if (!state.memory_in_doubt || stopping()) return;
  // Where a collection was under way, the first only ends it, and keeps what was made since it began.
  for (int collections = 0; collections < 2 && memory_in_use() > state.memory_limit; collections++) {
    state.isolate->MemoryPressureNotification(v8::MemoryPressureLevel::kCritical);
    state.isolate->MemoryPressureNotification(v8::MemoryPressureLevel::kNone);
  }
  state.memory_in_doubt = false;
  if (memory_in_use() > state.memory_limit) stop_javascript(StopReason::kOutOfMemory);
}

void after_collection(v8::Isolate *isolate, v8::GCType, v8::GCCallbackFlags) {
  Engine &state = engine();
  if (state.memory_in_doubt || memory_in_use() <= state.memory_limit) return;
  state.memory_in_doubt = true;
  isolate->RequestInterrupt([](v8::Isolate *, void *) { settle_memory(); }, nullptr);
}

// A builtin of V8 that does not end, and can't be stopped, comes here before it takes all memory of the machine: the
// second time the limit stays, and V8 gives up.
size_t near_heap_limit(void *, size_t current_limit, size_t) {
  Engine &state = engine();
  stop_javascript(StopReason::kOutOfMemory);
  return std::max(current_limit, state.memory_limit + kHeadroom + kLastHeadroom);
}

void make_isolate() {
  Engine &state = engine();
  state.memory_limit_used = memory_limit_setting;
  state.memory_limit = static_cast<size_t>(memory_limit_setting) * 1024 * 1024;
  state.memory_in_doubt = false;
  state.allocator = new LimitedAllocator(state.memory_limit);
  v8::Isolate::CreateParams parameters;
  parameters.array_buffer_allocator = state.allocator;
  parameters.allow_atomics_wait = false;
  parameters.constraints.set_max_old_generation_size_in_bytes(state.memory_limit + kHeadroom);
  parameters.constraints.set_initial_old_generation_size_in_bytes(state.memory_limit / 4);
  parameters.constraints.set_max_young_generation_size_in_bytes(std::min(state.memory_limit / 8, kLargestYoung));
  state.isolate = v8::Isolate::New(parameters);
  state.stack_limit = 0;
  state.isolate->SetFatalErrorHandler(on_fatal_error);
  state.isolate->SetOOMErrorHandler(on_out_of_memory);
  state.isolate->AddNearHeapLimitCallback(near_heap_limit, nullptr);
  state.isolate->AddGCEpilogueCallback(after_collection);
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
  restart_memory_watch();
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
    // The watcher may have stopped a call that had just ended.
    state.isolate->CancelTerminateExecution();
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
  std::unique_ptr<RoleContext> &entry = role_contexts()[GetUserId()];
  if (entry == nullptr) entry = std::make_unique<RoleContext>();
  if (!entry->context.IsEmpty()) return entry.get();
  MoreStack more_stack;
  entry->role = GetUserId();
  return make_context(*entry) ? entry.get() : nullptr;
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

bool memory_fits() {
  Engine &state = engine();
  if (memory_in_use() > state.memory_limit) state.memory_in_doubt = true;
  settle_memory();
  return !stopping();
}

bool memory_fits_so_far() {
  if (engine().memory_in_doubt) settle_memory();
  return !stopping();
}

MoreStack::MoreStack() {
  uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  engine().isolate->SetStackLimit(std::min(engine().stack_limit, here - kMoreStack));
}

MoreStack::~MoreStack() { engine().isolate->SetStackLimit(engine().stack_limit); }

}  // namespace maint_v8
