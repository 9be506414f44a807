#include "function_cache.h"

#include "errors.h"
#include "guard.h"
#include "text.h"

namespace maint_v8 {

namespace {

// What pg_proc says of a function, palloc'd.
struct Source {
  TransactionId xmin;
  ItemPointerData tid;
  char *name;
  char *text;
  Oid result_type;
  int argument_count;
  char **argument_names;  // null where no argument has a name
  TypeCodec *arguments;
  TypeCodec result;
};

struct Key {
  Oid function;
  Oid role;
  bool operator==(const Key &other) const { return function == other.function && role == other.role; }
};

struct KeyHash {
  size_t operator()(const Key &key) const { return (static_cast<uint64>(key.role) << 32 | key.function) * 0x9E3779B97F4A7C15; }
};

using Cache = std::unordered_map<Key, std::shared_ptr<CompiledFunction>, KeyHash>;

Cache &cache() {
  static auto *functions = new Cache();
  return *functions;
}

bool any_stale = false;

void on_change(Datum, int, uint32 hash_value) {
  for (auto &[key, function] : cache()) {
    if (hash_value == 0 || function->hash_value == hash_value) function->stale = any_stale = true;
  }
}

[[noreturn]] void refuse(const char *what) {
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("%s not supported by maint_v8", what)));
  pg_unreachable();
}

void require_real_type(Oid type) {
  if (get_typtype(type) != TYPTYPE_PSEUDO) return;
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("type %s is not supported by maint_v8", format_type_be(type))));
}

void check_row(HeapTuple row) {
  auto *function = reinterpret_cast<Form_pg_proc>(GETSTRUCT(row));
  if (function->prorettype == TRIGGEROID || function->prorettype == EVENT_TRIGGEROID) refuse("trigger functions are");
  if (function->proretset) refuse("functions that return a set are");
  if (function->prokind == PROKIND_WINDOW) refuse("window functions are");
  if (function->prorettype != VOIDOID) require_real_type(function->prorettype);
  if (OidIsValid(function->provariadic)) refuse("VARIADIC arguments are");
  bool no_modes;
  SysCacheGetAttr(PROCOID, row, Anum_pg_proc_proargmodes, &no_modes);
  if (!no_modes) refuse("OUT, INOUT and TABLE arguments are");
  for (int at = 0; at < function->pronargs; at++) require_real_type(function->proargtypes.values[at]);
}

HeapTuple find_row(Oid function) {
  HeapTuple row = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(row)) elog(ERROR, "cache lookup failed for function %u", function);
  return row;
}

bool same_version(const CompiledFunction &compiled, HeapTuple row) {
  ItemPointerData tid = compiled.tid;
  return compiled.xmin == HeapTupleHeaderGetRawXmin(row->t_data) && ItemPointerEquals(&tid, &row->t_self);
}

// Raises on failure.
void read_source(HeapTuple row, Source *source) {
  auto *function = reinterpret_cast<Form_pg_proc>(GETSTRUCT(row));
  check_row(row);
  bool is_null;
  Datum body = SysCacheGetAttr(PROCOID, row, Anum_pg_proc_prosrc, &is_null);
  if (is_null) elog(ERROR, "null prosrc");
  source->xmin = HeapTupleHeaderGetRawXmin(row->t_data);
  source->tid = row->t_self;
  source->name = pstrdup(NameStr(function->proname));
  source->text = TextDatumGetCString(body);
  source->result_type = function->prorettype;
  if (source->result_type != VOIDOID) fill_codec(&source->result, source->result_type);
  Oid *types;
  char *modes;
  source->argument_count = get_func_arg_info(row, &types, &source->argument_names, &modes);
  source->arguments = static_cast<TypeCodec *>(palloc0(sizeof(TypeCodec) * (source->argument_count + 1)));
  for (int at = 0; at < source->argument_count; at++) fill_codec(&source->arguments[at], types[at]);
}

bool argument_name(const Source &source, int at, v8::Local<v8::String> *name) {
  const char *given = source.argument_names == nullptr ? nullptr : source.argument_names[at];
  if (given != nullptr && *given != '\0') return to_js_string(given).ToLocal(name);
  *name = literal(("$" + std::to_string(at + 1)).c_str());
  return true;
}

// The body is compiled as a body, not pasted into the text of a function: it can't close the braces around it and run
// at the time it is compiled. Its first line is line 1, as in PL/V8.
v8::MaybeLocal<v8::Function> compile(const Source &source) {
  v8::Isolate *isolate = engine().isolate;
  v8::EscapableHandleScope scope(isolate);
  v8::Local<v8::Context> context = isolate->GetCurrentContext();
  v8::Local<v8::String> name;
  v8::Local<v8::String> text;
  if (!to_js_string(source.name).ToLocal(&name) || !to_js_string(source.text).ToLocal(&text)) return {};
  std::vector<v8::Local<v8::String>> names(source.argument_count);
  for (int at = 0; at < source.argument_count; at++) {
    if (!argument_name(source, at, &names[at])) return {};
  }
#if V8_MAJOR_VERSION >= 12
  v8::ScriptOrigin origin(name);
#else
  v8::ScriptOrigin origin(isolate, name);
#endif
  v8::ScriptCompiler::Source script(text, origin);
  v8::TryCatch try_catch(isolate);
  v8::Local<v8::Function> function;
  if (v8::ScriptCompiler::CompileFunction(context, &script, names.size(), names.data()).ToLocal(&function)) {
    function->SetName(name);
    return scope.Escape(function);
  }
  // V8 says nothing when a name can't be one of JavaScript.
  if (try_catch.HasCaught() || stopping()) {
    try_catch.ReThrow();
  } else {
    throw_error_with_code("42601", "an argument's name is no name of a variable in JavaScript");
    try_catch.ReThrow();
  }
  return {};
}

// False, and thrown in JavaScript, if the catalog can't be read.
bool drop_what_is_gone() {
  if (!any_stale) return true;
  any_stale = false;
  for (auto at = cache().begin(); at != cache().end();) {
    bool exists = true;
    Oid function = at->first.function;
    if (at->second->stale) {
      ErrorData *error = guarded([&] { exists = SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)); });
      if (error != nullptr) {
        any_stale = true;
        throw_server_error(error);
        return false;
      }
      at->second->stale = false;
    }
    at = exists ? std::next(at) : cache().erase(at);
  }
  return true;
}

void listen_for_changes() {
  static bool listening = false;
  if (listening) return;
  CacheRegisterSyscacheCallback(PROCOID, on_change, 0);
  listening = true;
}

}  // namespace

std::shared_ptr<CompiledFunction> find_function(Oid function, RoleContext &role) {
  Key key = {function, role.role};
  auto found = cache().find(key);
  const CompiledFunction *known = found == cache().end() ? nullptr : found->second.get();
  bool current = false;
  uint32 hash_value = 0;
  Source source = {};
  ErrorData *error = guarded([&] {
    listen_for_changes();
    HeapTuple row = find_row(function);
    current = known != nullptr && same_version(*known, row);
    if (!current) {
      read_source(row, &source);
      hash_value = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function));
    }
    ReleaseSysCache(row);
  });
  if (error != nullptr) {
    throw_server_error(error);
    return nullptr;
  }
  if (current) return cache().find(key)->second;
  v8::Local<v8::Function> compiled;
  if (!compile(source).ToLocal(&compiled)) return nullptr;
  auto entry = std::make_shared<CompiledFunction>();
  entry->xmin = source.xmin;
  entry->tid = source.tid;
  entry->hash_value = hash_value;
  entry->returns_void = source.result_type == VOIDOID;
  entry->result = source.result;
  entry->arguments.assign(source.arguments, source.arguments + source.argument_count);
  entry->function.Reset(engine().isolate, compiled);
  if (!drop_what_is_gone()) return nullptr;
  cache()[key] = entry;
  return entry;
}

bool check_function(Oid function) {
  Source source = {};
  ErrorData *error = guarded([&] {
    HeapTuple row = find_row(function);
    read_source(row, &source);
    ReleaseSysCache(row);
  });
  if (error == nullptr) return !compile(source).IsEmpty();
  throw_server_error(error);
  return false;
}

void check_signature(Oid function) {
  HeapTuple row = find_row(function);
  check_row(row);
  ReleaseSysCache(row);
}

void forget_all_functions() { cache().clear(); }

}  // namespace maint_v8
