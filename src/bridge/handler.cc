// The module's entry points: plain frames of C, which alone raise errors of the server.
#include "bridge.h"
#include "engine.h"
#include "errors.h"
#include "function_cache.h"
#include "guard.h"
#include "kill.h"
#include "launcher.h"
#include "text.h"

extern "C" {
#include "commands/event_trigger.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);
PGDLLEXPORT Datum maint_v8_call_handler(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum maint_v8_validator(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(maint_v8_call_handler);
PG_FUNCTION_INFO_V1(maint_v8_validator);
}

namespace maint_v8 {

namespace {

// One entry into JavaScript and its outcome; nothing in it has a destructor.
struct Call {
  FunctionCallInfo fcinfo;  // null: only check the function
  Oid function;
  MemoryContext result_memory;
  Datum value;
  bool is_null;
  Failure *failure;
  StopReason stop;
  ErrorData *stop_error;
};

bool run(const CompiledFunction &function, Call *call) {
  v8::Isolate *isolate = engine().isolate;
  v8::Local<v8::Context> context = isolate->GetCurrentContext();
  std::vector<v8::Local<v8::Value>> values(function.arguments.size());
  for (size_t at = 0; at < values.size(); at++) {
    const NullableDatum &argument = call->fcinfo->args[at];
    if (!to_js(function.arguments[at], argument.value, argument.isnull).ToLocal(&values[at])) return false;
  }
  v8::Local<v8::Value> result;
  if (!function.function.Get(isolate)
           ->Call(context, v8::Undefined(isolate), static_cast<int>(values.size()), values.data())
           .ToLocal(&result)) {
    return false;
  }
  call->is_null = function.returns_void;
  if (function.returns_void) return true;
  MemoryContextScope memory(call->result_memory);
  return to_datum(function.result, result, &call->value, &call->is_null);
}

bool is_syntax_error(const v8::TryCatch &try_catch) {
  v8::Local<v8::Value> exception = try_catch.Exception();
  return exception->IsObject() &&
         exception.As<v8::Object>()->GetConstructorName()->StringEquals(literal("SyntaxError"));
}

void enter_javascript(Call *call) {
  v8::Isolate *isolate = engine().isolate;
  v8::Isolate::Scope isolate_scope(isolate);
  v8::HandleScope handle_scope(isolate);
  RoleContext *role = current_role_context();
  if (role == nullptr) {
    if (!stopping()) call->failure = failure_of_message(ERRCODE_OUT_OF_MEMORY, "could not make a JavaScript context");
    return;
  }
  engine().active = role;
  v8::Context::Scope context_scope(role->context.Get(isolate));
  v8::TryCatch try_catch(isolate);
  bool done;
  int code = ERRCODE_INTERNAL_ERROR;
  if (call->fcinfo == nullptr) {
    done = check_function(call->function);
    if (!done && try_catch.HasCaught()) code = ERRCODE_SYNTAX_ERROR;
  } else {
    std::shared_ptr<CompiledFunction> function = find_function(call->function, *role);
    done = function != nullptr && run(*function, call);
    if (function == nullptr && try_catch.HasCaught() && is_syntax_error(try_catch)) code = ERRCODE_SYNTAX_ERROR;
  }
  if (done || stopping()) return;
  if (try_catch.HasTerminated() || !try_catch.HasCaught()) {
    stop_javascript(StopReason::kInterrupt);
    return;
  }
  call->failure = failure_of(try_catch, code);
}

void perform(Call *call) noexcept {
  Engine &state = engine();
  OutsideServer outside_server;
  if (!enter_engine()) {
    call->failure = failure_of_message(ERRCODE_INTERNAL_ERROR, "could not start the JavaScript engine");
    return;
  }
  RoleContext *previous = state.active;
  try {
    enter_javascript(call);
    if (state.depth == 1 && !stopping() && memory_fits()) run_pending_tasks();
  } catch (const std::exception &exception) {
    call->failure = failure_of_message(ERRCODE_OUT_OF_MEMORY, exception.what());
  }
  call->stop = state.stop;
  call->stop_error = state.stop_error;
  leave_engine(previous);
}

void raise_outcome(const Call &call) {
  if (call.stop != StopReason::kNone) raise_stop(call.stop, call.stop_error);
  if (call.failure == nullptr) return;
  // The watcher may have stopped what turned the failure into text; the cancel is what the client waits for.
  CHECK_FOR_INTERRUPTS();
  raise_failure(call.failure);
}

}  // namespace

}  // namespace maint_v8

using maint_v8::Call;

void _PG_init(void) {
  DefineCustomIntVariable("maint_v8.memory_limit", "Memory that JavaScript may use in one session.",
                          "A session that has run JavaScript already takes on a new value with its next call, and "
                          "loses its JavaScript globals and plans then.",
                          &maint_v8::memory_limit_setting, 256, 32, 16384, PGC_SUSET, GUC_UNIT_MB, nullptr, nullptr,
                          nullptr);
  DefineCustomIntVariable("maint_v8.kill_after",
                          "Time after a cancel or a timeout at which a session ends whose JavaScript does not stop.",
                          "Some functions of the JavaScript engine can't be interrupted.",
                          &maint_v8::kill_after_setting, 5000, 100, 600000, PGC_SUSET, GUC_UNIT_MS, nullptr, nullptr,
                          nullptr);
#if PG_VERSION_NUM >= 150000
  MarkGUCPrefixReserved("maint_v8");
#else
  EmitWarningsOnPlaceholders("maint_v8");
#endif
  maint_launcher::register_launcher();
}

Datum maint_v8_call_handler(PG_FUNCTION_ARGS) {
  if (CALLED_AS_TRIGGER(fcinfo) || CALLED_AS_EVENT_TRIGGER(fcinfo)) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("triggers are not supported by maint_v8")));
  }
  check_stack_depth();
  Call call = {};
  call.fcinfo = fcinfo;
  call.function = fcinfo->flinfo->fn_oid;
  call.result_memory = CurrentMemoryContext;
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "could not connect to the SPI manager");
  maint_v8::perform(&call);
  maint_v8::raise_outcome(call);
  if (SPI_finish() != SPI_OK_FINISH) elog(ERROR, "could not disconnect from the SPI manager");
  fcinfo->isnull = call.is_null;
  return call.value;
}

Datum maint_v8_validator(PG_FUNCTION_ARGS) {
  Oid function = PG_GETARG_OID(0);
  if (!CheckFunctionValidatorAccess(fcinfo->flinfo->fn_oid, function)) PG_RETURN_VOID();
  maint_v8::check_signature(function);
  if (!check_function_bodies) PG_RETURN_VOID();
  check_stack_depth();
  Call call = {};
  call.function = function;
  maint_v8::perform(&call);
  maint_v8::raise_outcome(call);
  PG_RETURN_VOID();
}
