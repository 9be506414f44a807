#include "errors.h"

#include "engine.h"
#include "guard.h"
#include "memory_limit.h"
#include "text.h"

namespace maint_v8 {

namespace {

constexpr int kLongestSourceLine = 200;

struct NamedField {
  const char *name;
  char *ErrorData::*of_server;
  char *Failure::*of_failure;
};

// The properties of an error that are strings, as PL/V8 names them.
const NamedField kFields[] = {
    {"schema_name", &ErrorData::schema_name, &Failure::schema_name},
    {"table_name", &ErrorData::table_name, &Failure::table_name},
    {"column_name", &ErrorData::column_name, &Failure::column_name},
    {"datatype_name", &ErrorData::datatype_name, &Failure::datatype_name},
    {"constraint_name", &ErrorData::constraint_name, &Failure::constraint_name},
    {"detail", &ErrorData::detail, &Failure::detail},
    {"hint", &ErrorData::hint, &Failure::hint},
    {"context", &ErrorData::context, &Failure::context},
    {"internalquery", &ErrorData::internalquery, nullptr},
};

void set(v8::Local<v8::Object> object, const char *name, v8::Local<v8::Value> value) {
  ignore(object->CreateDataProperty(engine().isolate->GetCurrentContext(), literal(name), value));
}

void set_code(v8::Local<v8::Object> error, int sqlerrcode) {
  set(error, "sqlerrcode", to_js_message(unpack_sql_state(sqlerrcode)));
  set(error, "code", v8::Integer::New(engine().isolate, sqlerrcode));
}

v8::Local<v8::Object> new_error(const char *message) {
  return v8::Exception::Error(to_js_message(message)).As<v8::Object>();
}

bool stops_javascript(int sqlerrcode) {
  return sqlerrcode == ERRCODE_QUERY_CANCELED || sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
         sqlerrcode == ERRCODE_CRASH_SHUTDOWN || sqlerrcode == ERRCODE_DATABASE_DROPPED;
}

bool is_sqlstate(const char *text) {
  return strlen(text) == 5 && strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && strcmp(text, "00000") != 0;
}

// Of null and undefined: null. An accessor that throws counts as absent.
char *text_property(v8::Local<v8::Object> object, const char *name) {
  v8::Local<v8::Value> value;
  if (!object->Get(engine().isolate->GetCurrentContext(), literal(name)).ToLocal(&value)) return nullptr;
  return value->IsNullOrUndefined() ? nullptr : to_server_message(value);
}

// As in PL/V8 the number in `code`; but also the string in `sqlerrcode`, which is the readable way to set one.
int sqlerrcode_of(v8::Local<v8::Object> error, int otherwise) {
  v8::Local<v8::Context> context = engine().isolate->GetCurrentContext();
  v8::Local<v8::Value> value;
  if (error->Get(context, literal("sqlerrcode")).ToLocal(&value) && value->IsString()) {
    char *text = to_server_message(value);
    if (text != nullptr && is_sqlstate(text)) return MAKE_SQLSTATE(text[0], text[1], text[2], text[3], text[4]);
  }
  if (error->Get(context, literal("code")).ToLocal(&value) && value->IsInt32()) {
    int code = value.As<v8::Int32>()->Value();
    if (code > 0 && is_sqlstate(unpack_sql_state(code))) return code;
  }
  return otherwise;
}

// "at …" lines of a stack trace.
std::string stack_lines(v8::Local<v8::Object> error) {
  char *stack = text_property(error, "stack");
  std::string lines;
  for (const char *line = stack; line != nullptr && *line != '\0';) {
    const char *end = strchrnul(line, '\n');
    if (strncmp(line, "    at ", 7) == 0) {
      if (!lines.empty()) lines += '\n';
      lines.append(line + 4, end);
    }
    line = *end == '\n' ? end + 1 : end;
  }
  if (stack != nullptr) pfree(stack);
  return lines;
}

// "name() LINE n: source", as PL/V8 has it.
std::string place(v8::Local<v8::Message> message) {
  v8::Local<v8::Context> context = engine().isolate->GetCurrentContext();
  if (!message->GetScriptResourceName()->IsString()) return "";
  char *name = to_server_message(message->GetScriptResourceName());
  std::string text = std::string(name == nullptr ? "?" : name) + "() LINE ";
  text += std::to_string(message->GetLineNumber(context).FromMaybe(0)) + ": ";
  v8::Local<v8::String> source;
  if (!message->GetSourceLine(context).ToLocal(&source)) return text + "?";
  char *line = to_server_message(source);
  if (line == nullptr) return text + "?";
  int length = static_cast<int>(strlen(line));
  text.append(line, pg_mbcliplen(line, length, kLongestSourceLine));
  return length > kLongestSourceLine ? text + "…" : text;
}

void append_line(std::string &text, const std::string &line) {
  if (!text.empty() && !line.empty()) text += '\n';
  text += line;
}

char *copy(const std::string &text) {
  char *result = nullptr;
  const char *bytes = text.c_str();
  ErrorData *error = guarded([&] { result = pstrdup(bytes); });
  if (error != nullptr) FreeErrorData(error);
  return result;
}

Failure *new_failure(int sqlerrcode) {
  Failure *failure = nullptr;
  ErrorData *error = guarded([&] { failure = static_cast<Failure *>(palloc0(sizeof(Failure))); });
  static Failure reserve;
  if (error != nullptr) {
    FreeErrorData(error);
    reserve = Failure();
    failure = &reserve;
  }
  failure->sqlerrcode = sqlerrcode;
  return failure;
}

bool is_refused_buffer(const char *message) {
  return engine().allocator->refused() && strstr(message, "Array buffer allocation failed") != nullptr;
}

}  // namespace

void throw_error(const char *message) { engine().isolate->ThrowException(new_error(message)); }

void throw_plain_error(v8::Local<v8::String> message) {
  v8::Isolate *isolate = engine().isolate;
  v8::String::Utf8Value text(isolate, message);
  constexpr int kPrefix = 7;
  v8::Local<v8::String> rest = message;
  if (*text != nullptr && strncmp(*text, "Error: ", kPrefix) == 0 &&
      !v8::String::NewFromUtf8(isolate, *text + kPrefix, v8::NewStringType::kNormal, text.length() - kPrefix)
           .ToLocal(&rest)) {
    rest = message;
  }
  isolate->ThrowException(v8::Exception::Error(rest));
}

void throw_error_with_code(const char *sqlstate, const char *message) {
  v8::Local<v8::Object> error = new_error(message);
  set_code(error, MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3], sqlstate[4]));
  engine().isolate->ThrowException(error);
}

void throw_server_error(ErrorData *server_error) {
  // A call below may have been stopped: what it raised is the way the stop comes up here.
  if (stopping() || stops_javascript(server_error->sqlerrcode)) {
    stop_javascript_here(StopReason::kServerError, server_error);
    return;
  }
  v8::Isolate *isolate = engine().isolate;
  v8::Local<v8::Object> error = new_error(server_error->message == nullptr ? "?" : server_error->message);
  set_code(error, server_error->sqlerrcode);
  for (const NamedField &field : kFields) {
    const char *text = server_error->*field.of_server;
    set(error, field.name, text == nullptr ? v8::Null(isolate).As<v8::Value>() : to_js_message(text).As<v8::Value>());
  }
  FreeErrorData(server_error);
  isolate->ThrowException(error);
}

bool interrupted() {
  if (!InterruptPending) return false;
  ErrorData *error = guarded([] { CHECK_FOR_INTERRUPTS(); });
  if (error != nullptr) throw_server_error(error);
  return error != nullptr;
}

Failure *failure_of(v8::TryCatch &outer, int default_sqlerrcode) {
  v8::Local<v8::Value> exception = outer.Exception();
  v8::Local<v8::Message> message = outer.Message();
  v8::TryCatch quiet(engine().isolate);
  MoreStack more_stack;
  Failure *failure = new_failure(default_sqlerrcode);
  failure->message = to_server_message(exception);
  if (failure->message == nullptr) failure->message = copy("JavaScript threw a value that can't be shown as text");
  std::string context;
  if (exception->IsObject()) {
    v8::Local<v8::Object> error = exception.As<v8::Object>();
    failure->sqlerrcode = sqlerrcode_of(error, default_sqlerrcode);
    for (const NamedField &field : kFields) {
      if (field.of_failure != nullptr) failure->*field.of_failure = text_property(error, field.name);
    }
    // The context of a server's error names all that was under way. The first function of JavaScript on its way
    // adds the whole stack of JavaScript.
    failure->context_is_complete = failure->context != nullptr;
    if (failure->context != nullptr) context = failure->context;
    bool first = context.find("() LINE ") == std::string::npos;
    if (!message.IsEmpty()) append_line(context, place(message));
    if (first) append_line(context, stack_lines(error));
  } else if (!message.IsEmpty()) {
    context = place(message);
  }
  if (!context.empty()) failure->context = copy(context);
  if (failure->message == nullptr) return failure;
  if (is_refused_buffer(failure->message)) failure->sqlerrcode = ERRCODE_OUT_OF_MEMORY;
  if (strncmp(failure->message, "Error: ", 7) == 0) failure->message += 7;
  return failure;
}

Failure *failure_of_message(int sqlerrcode, const char *message) {
  Failure *failure = new_failure(sqlerrcode);
  failure->message = copy(message);
  return failure;
}

void raise_failure(const Failure *failure) {
  // Each level of calls would otherwise add all those above it once more.
  if (failure->context_is_complete) error_context_stack = nullptr;
  ereport(ERROR,
          (errcode(failure->sqlerrcode), errmsg_internal("%s", failure->message == nullptr ? "?" : failure->message),
           failure->detail == nullptr ? 0 : errdetail_internal("%s", failure->detail),
           failure->hint == nullptr ? 0 : errhint("%s", failure->hint),
           failure->context == nullptr ? 0 : (errcontext("%s", failure->context)),
           failure->schema_name == nullptr ? 0 : err_generic_string(PG_DIAG_SCHEMA_NAME, failure->schema_name),
           failure->table_name == nullptr ? 0 : err_generic_string(PG_DIAG_TABLE_NAME, failure->table_name),
           failure->column_name == nullptr ? 0 : err_generic_string(PG_DIAG_COLUMN_NAME, failure->column_name),
           failure->datatype_name == nullptr ? 0 : err_generic_string(PG_DIAG_DATATYPE_NAME, failure->datatype_name),
           failure->constraint_name == nullptr
               ? 0
               : err_generic_string(PG_DIAG_CONSTRAINT_NAME, failure->constraint_name)));
  pg_unreachable();
}

void raise_stop(StopReason reason, ErrorData *error) {
  switch (reason) {
    case StopReason::kServerError:
      ReThrowError(error);
      break;
    case StopReason::kOutOfMemory:
      ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("JavaScript ran out of memory"),
                      errdetail("The limit is %d MB.", engine().memory_limit_used),
                      errhint("Set maint_v8.memory_limit to a higher value.")));
      break;
    default:
      CHECK_FOR_INTERRUPTS();
  }
  ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg("JavaScript was interrupted")));
  pg_unreachable();
}

}  // namespace maint_v8
