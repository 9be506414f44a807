#include "api.h"

#include "database.h"
#include "errors.h"
#include "guard.h"
#include "prepared.h"
#include "text.h"

namespace maint_v8 {

namespace {

using Callback = void (*)(const Arguments &);

struct Level {
  const char *name;
  int value;
};
const Level kLevels[] = {{"DEBUG5", DEBUG5}, {"DEBUG4", DEBUG4},   {"DEBUG3", DEBUG3},  {"DEBUG2", DEBUG2},
                         {"DEBUG1", DEBUG1}, {"DEBUG", DEBUG5},    {"LOG", LOG},        {"INFO", INFO},
                         {"NOTICE", NOTICE}, {"WARNING", WARNING}, {"ERROR", ERROR}};

const char *const kNotSupported[] = {"find_function", "get_window_object", "return_next", "memory_usage",
                                     "commit",        "rollback",          "run_script",  "execute_query"};

// Globals of V8 that reach outside, wait, or run code at a time of their own choosing. PL/V8 has no console either.
const char *const kRemovedGlobals[] = {"console", "Atomics", "SharedArrayBuffer", "WebAssembly", "FinalizationRegistry"};

// The server may be used only from the context whose role called. Otherwise code that one role left behind, as a
// promise's reaction for instance, would run with the rights of another.
bool may_use_server() {
  Engine &state = engine();
  if (stopping()) {
    stop_javascript_here(state.stop);
    return false;
  }
  v8::Local<v8::Context> context = state.isolate->GetCurrentContext();
  if (state.active != nullptr && state.active->context == context) return true;
  throw_error_with_code("42501", "plv8 can be used only by the role whose function is running");
  return false;
}

// No exception of C++ may reach V8.
template <Callback callback>
void entry(const Arguments &arguments) {
  try {
    if (may_use_server()) callback(arguments);
  } catch (const std::exception &exception) {
    throw_error_with_code("53200", exception.what());
  }
}

void elog_message(const Arguments &arguments) {
  v8::Isolate *isolate = engine().isolate;
  v8::Local<v8::Context> context = isolate->GetCurrentContext();
  if (arguments.Length() < 2) return throw_error("usage: plv8.elog(elevel, ...)");
  int level = arguments[0]->Int32Value(context).FromMaybe(0);
  bool known = false;
  for (const Level &candidate : kLevels) known = known || candidate.value == level;
  if (!known) return throw_error("invalid error level");
  v8::Local<v8::String> message = v8::String::Empty(isolate);
  for (int at = 1; at < arguments.Length(); at++) {
    v8::Local<v8::String> part;
    if (!arguments[at]->ToString(context).ToLocal(&part)) return;
    // Of a string that would be too long V8 makes none.
    if (at > 1) message = v8::String::Concat(isolate, message, literal(" "));
    if (!message.IsEmpty()) message = v8::String::Concat(isolate, message, part);
    if (message.IsEmpty()) return throw_error_with_code("54000", "the message is too long");
  }
  if (level == ERROR) return throw_plain_error(message);
  Scratch scratch;
  char *text = to_server_text(message);
  if (text == nullptr) return;
  ErrorData *error = guarded([&] { ereport(level, (errmsg_internal("%s", text))); });
  if (error != nullptr) throw_server_error(error);
}

template <typename Quote>
void return_quoted(const Arguments &arguments, Quote quote) {
  if (arguments.Length() < 1) return;
  Scratch scratch;
  char *text = to_server_text(arguments[0]);
  if (text == nullptr) return;
  const char *quoted = nullptr;
  ErrorData *error = guarded([&] { quoted = quote(text); });
  if (error != nullptr) return throw_server_error(error);
  v8::Local<v8::String> result;
  if (to_js_string(quoted).ToLocal(&result)) arguments.GetReturnValue().Set(result);
}

void quote_ident(const Arguments &arguments) {
  return_quoted(arguments, [](const char *text) { return quote_identifier(text); });
}

void quote_literal(const Arguments &arguments) {
  return_quoted(arguments, [](const char *text) -> const char * { return quote_literal_cstr(text); });
}

void quote_nullable(const Arguments &arguments) {
  if (arguments.Length() > 0 && arguments[0]->IsNullOrUndefined()) {
    return arguments.GetReturnValue().Set(literal("NULL"));
  }
  quote_literal(arguments);
}

void not_supported(const Arguments &arguments) {
  std::string name = *v8::String::Utf8Value(engine().isolate, arguments.Data());
  throw_error_with_code("0A000", (name + " is not supported by maint_v8").c_str());
}

template <Callback callback>
void add(v8::Local<v8::ObjectTemplate> target, const char *name) {
  v8::Isolate *isolate = engine().isolate;
  target->Set(literal(name), v8::FunctionTemplate::New(isolate, entry<callback>),
              static_cast<v8::PropertyAttribute>(v8::ReadOnly | v8::DontEnum | v8::DontDelete));
}

void add_not_supported(v8::Local<v8::ObjectTemplate> target, const char *object, const char *name) {
  std::string full = std::string(object) + "." + name;
  target->Set(literal(name),
              v8::FunctionTemplate::New(engine().isolate, entry<not_supported>, literal(full.c_str())),
              v8::DontEnum);
}

v8::Local<v8::ObjectTemplate> plan_template() {
  v8::Local<v8::ObjectTemplate> plan = v8::ObjectTemplate::New(engine().isolate);
  plan->SetInternalFieldCount(1);
  add<plan_execute>(plan, "execute");
  add<plan_free>(plan, "free");
  add_not_supported(plan, "plan", "cursor");
  return plan;
}

v8::Local<v8::ObjectTemplate> global_template() {
  v8::Isolate *isolate = engine().isolate;
  v8::Local<v8::ObjectTemplate> plv8 = v8::ObjectTemplate::New(isolate);
  add<execute>(plv8, "execute");
  add<prepare>(plv8, "prepare");
  add<subtransaction>(plv8, "subtransaction");
  add<elog_message>(plv8, "elog");
  add<quote_ident>(plv8, "quote_ident");
  add<quote_literal>(plv8, "quote_literal");
  add<quote_nullable>(plv8, "quote_nullable");
  for (const char *name : kNotSupported) add_not_supported(plv8, "plv8", name);
  plv8->Set(literal("version"), literal(kVersion));
  plv8->Set(literal("v8_version"), literal(v8::V8::GetVersion()));
  v8::Local<v8::ObjectTemplate> global = v8::ObjectTemplate::New(isolate);
  for (const Level &level : kLevels) global->Set(literal(level.name), v8::Integer::New(isolate, level.value));
  global->Set(literal("plv8"), plv8);
  return global;
}

}  // namespace

bool make_context(RoleContext &role) {
  v8::Isolate *isolate = engine().isolate;
  v8::HandleScope scope(isolate);
  v8::Local<v8::Context> context = v8::Context::New(isolate, nullptr, global_template());
  if (context.IsEmpty()) return false;
  v8::Context::Scope context_scope(context);
  for (const char *name : kRemovedGlobals) ignore(context->Global()->Delete(context, literal(name)));
  v8::Local<v8::Value> nothing;
  v8::Local<v8::Script> script;
  if (!v8::Script::Compile(context, literal("(function () {})")).ToLocal(&script) ||
      !script->Run(context).ToLocal(&nothing)) {
    return false;
  }
  role.nothing.Reset(isolate, nothing.As<v8::Function>());
  role.plan_template.Reset(isolate, plan_template());
  role.context.Reset(isolate, context);
  return true;
}

}  // namespace maint_v8
