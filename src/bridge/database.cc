#include "database.h"

#include "engine.h"
#include "errors.h"
#include "guard.h"
#include "text.h"

namespace maint_v8 {

namespace {

void infer_parameter_types(ParseState *state, void *argument) {
  auto *parameters = static_cast<ParameterTypes *>(argument);
#if PG_VERSION_NUM >= 150000
  setup_parse_variable_parameters(state, &parameters->types, &parameters->count);
#else
  parse_variable_parameters(state, &parameters->types, &parameters->count);
#endif
}

// Raises for the results of SPI that are errors without an error.
int require_success(int status) {
  if (status >= 0) return status;
  if (status == SPI_ERROR_COPY) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot COPY to or from the client in maint_v8")));
  }
  if (status == SPI_ERROR_TRANSACTION) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot begin or end transactions in maint_v8")));
  }
  ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("%s", SPI_result_code_string(status))));
  return status;
}

// Rows of an SPI result, as objects.
class RowConverter {
 public:
  explicit RowConverter(SPITupleTable *table) : table_(table), columns_(table->tupdesc->natts) {}

  bool prepare() {
    codecs_.resize(columns_);
    datums_.resize(columns_);
    nulls_ = std::make_unique<bool[]>(columns_);
    ErrorData *error = guarded([this] {
      row_memory_ = AllocSetContextCreate(CurrentMemoryContext, "maint_v8 row", ALLOCSET_DEFAULT_SIZES);
      for (int at = 0; at < columns_; at++) fill_codec(&codecs_[at], TupleDescAttr(table_->tupdesc, at)->atttypid);
    });
    if (error != nullptr) {
      throw_server_error(error);
      return false;
    }
    for (int at = 0; at < columns_; at++) {
      v8::Local<v8::String> name;
      if (!to_js_string(NameStr(TupleDescAttr(table_->tupdesc, at)->attname)).ToLocal(&name)) return false;
      names_.push_back(name);
    }
    return true;
  }

  v8::MaybeLocal<v8::Object> convert(HeapTuple tuple) {
    v8::Isolate *isolate = engine().isolate;
    v8::EscapableHandleScope scope(isolate);
    v8::Local<v8::Context> context = isolate->GetCurrentContext();
    MemoryContextScope memory(row_memory_);
    v8::Local<v8::Object> row = v8::Object::New(isolate);
    heap_deform_tuple(tuple, table_->tupdesc, datums_.data(), nulls_.get());
    for (int at = 0; at < columns_; at++) {
      v8::Local<v8::Value> value;
      if (!to_js(codecs_[at], datums_[at], nulls_[at]).ToLocal(&value)) return {};
      // A column named __proto__ becomes a property like any other.
      if (!row->CreateDataProperty(context, names_[at], value).FromMaybe(false)) return {};
    }
    MemoryContextReset(row_memory_);
    return scope.Escape(row);
  }

 private:
  SPITupleTable *table_;
  int columns_;
  MemoryContext row_memory_ = nullptr;
  std::vector<TypeCodec> codecs_;
  std::vector<Datum> datums_;
  std::unique_ptr<bool[]> nulls_;
  std::vector<v8::Local<v8::String>> names_;
};

v8::MaybeLocal<v8::Value> rows_to_js(SPITupleTable *table, uint64 count) {
  v8::Isolate *isolate = engine().isolate;
  v8::EscapableHandleScope scope(isolate);
  v8::Local<v8::Context> context = isolate->GetCurrentContext();
  RowConverter converter(table);
  if (!converter.prepare()) return {};
  v8::Local<v8::Array> rows = v8::Array::New(isolate, static_cast<int>(count));
  for (uint64 at = 0; at < count; at++) {
    v8::HandleScope row_scope(isolate);
    v8::Local<v8::Object> row;
    if (interrupted() || !memory_fits_so_far() || !converter.convert(table->vals[at]).ToLocal(&row)) return {};
    if (!rows->CreateDataProperty(context, static_cast<uint32>(at), row).FromMaybe(false)) return {};
  }
  return scope.Escape(rows);
}

v8::MaybeLocal<v8::Value> result_to_js(SPITupleTable *table, uint64 processed) {
  if (table == nullptr) return v8::Number::New(engine().isolate, static_cast<double>(processed));
  v8::MaybeLocal<v8::Value> rows = rows_to_js(table, processed);
  ErrorData *error = guarded([&] { SPI_freetuptable(table); });
  if (error != nullptr) FreeErrorData(error);
  return rows;
}

bool mismatch(int expected, int given) {
  if (expected == given) return false;
  std::string text = "parameter numbers mismatch: " + std::to_string(expected) + " != " + std::to_string(given);
  throw_error_with_code("XX000", text.c_str());
  return true;
}

v8::MaybeLocal<v8::Value> execute_with_parameters(const char *sql, v8::Local<v8::Array> values) {
  struct Work {
    SPIPlanPtr plan;
    ParamListInfo parameters;
  } work = {nullptr, nullptr};
  ParameterTypes types = {nullptr, 0};
  TypeCodec *codecs = nullptr;
  // Of PL/V8 the order: the statement is understood before the parameters are looked at.
  ErrorData *error = guarded([&] {
    start_parameter_types(&types);
    work.plan = prepare_inferring_types(sql, &types);
  });
  if (error == nullptr) {
    if (mismatch(types.count, static_cast<int>(values->Length()))) return {};
    error = guarded([&] {
      codecs = static_cast<TypeCodec *>(palloc0(sizeof(TypeCodec) * types.count));
      for (int at = 0; at < types.count; at++) {
        if (!OidIsValid(types.types[at])) {
          ereport(ERROR, (errcode(ERRCODE_INDETERMINATE_DATATYPE),
                          errmsg("could not determine data type of parameter $%d", at + 1)));
        }
        fill_codec(&codecs[at], types.types[at]);
      }
    });
  }
  if (error != nullptr) {
    throw_server_error(error);
    return {};
  }
  work.parameters = convert_parameters(values, codecs, types.types, types.count);
  if (work.parameters == nullptr) return {};
  v8::MaybeLocal<v8::Value> result = run_statement(
      [](void *argument) {
        auto *statement = static_cast<Work *>(argument);
        return SPI_execute_plan_with_paramlist(statement->plan, statement->parameters, false, 0);
      },
      &work);
  error = guarded([&] { SPI_freeplan(work.plan); });
  if (error != nullptr) FreeErrorData(error);
  return result;
}

}  // namespace

Scratch::Scratch() : before_(CurrentMemoryContext) {
  ErrorData *error = guarded(
      [this] { context_ = AllocSetContextCreate(before_, "maint_v8 statement", ALLOCSET_DEFAULT_SIZES); });
  if (error != nullptr) FreeErrorData(error);
  if (context_ != nullptr) MemoryContextSwitchTo(context_);
}

Scratch::~Scratch() {
  MemoryContextSwitchTo(before_);
  if (context_ != nullptr) MemoryContextDelete(context_);
}

void start_parameter_types(ParameterTypes *parameters) {
  // The parser enlarges the array where it lies: made here, it does not lie in memory that SPI frees.
  parameters->types = static_cast<Oid *>(palloc0(sizeof(Oid)));
  parameters->count = 0;
}

SPIPlanPtr prepare_inferring_types(const char *sql, ParameterTypes *parameters) {
  SPIPlanPtr plan = SPI_prepare_params(sql, infer_parameter_types, parameters, 0);
  if (plan == nullptr) require_success(SPI_result);
  return plan;
}

v8::Local<v8::Array> parameters_of(const Arguments &arguments, int skip) {
  if (arguments.Length() > skip && arguments[skip]->IsArray()) return arguments[skip].As<v8::Array>();
  std::vector<v8::Local<v8::Value>> values;
  for (int at = skip; at < arguments.Length(); at++) values.push_back(arguments[at]);
  return v8::Array::New(engine().isolate, values.data(), values.size());
}

ParamListInfo convert_parameters(v8::Local<v8::Array> values, const TypeCodec *codecs, const Oid *types, int count) {
  v8::Local<v8::Context> context = engine().isolate->GetCurrentContext();
  ParamListInfo parameters = nullptr;
  ErrorData *error = guarded([&] { parameters = makeParamList(count); });
  if (error != nullptr) {
    throw_server_error(error);
    return nullptr;
  }
  for (int at = 0; at < count; at++) {
    v8::Local<v8::Value> value;
    ParamExternData *parameter = &parameters->params[at];
    parameter->ptype = types[at];
    parameter->pflags = PARAM_FLAG_CONST;
    if (!values->Get(context, at).ToLocal(&value)) return nullptr;
    if (!to_datum(codecs[at], value, &parameter->value, &parameter->isnull)) return nullptr;
  }
  return parameters;
}

v8::MaybeLocal<v8::Value> run_statement(int (*statement)(void *), void *argument) {
  SPITupleTable *table = nullptr;
  uint64 processed = 0;
  ErrorData *error = guarded([&] {
    require_success(statement(argument));
    // Read at once: what converts the rows may run statements of its own.
    table = SPI_tuptable;
    processed = SPI_processed;
    if (processed > PG_INT32_MAX && table != nullptr) {
      ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many rows for JavaScript")));
    }
  });
  if (error == nullptr) return result_to_js(table, processed);
  throw_server_error(error);
  return {};
}

void execute(const Arguments &arguments) {
  if (arguments.Length() < 1) return;
  Scratch scratch;
  char *sql = to_server_text(arguments[0]);
  if (sql == nullptr) return;
  v8::Local<v8::Array> values = parameters_of(arguments, 1);
  Subtransaction transaction;
  ErrorData *error = transaction.begin();
  if (error != nullptr) return throw_server_error(error);
  v8::MaybeLocal<v8::Value> result =
      values->Length() > 0
          ? execute_with_parameters(sql, values)
          : run_statement([](void *text) { return SPI_execute(static_cast<char *>(text), false, 0); }, sql);
  finish(transaction, arguments, result);
}

void finish(Subtransaction &transaction, const Arguments &arguments, v8::MaybeLocal<v8::Value> result) {
  v8::Local<v8::Value> value;
  ErrorData *error = nullptr;
  if (result.ToLocal(&value) && !stopping()) {
    error = transaction.commit();
    if (error == nullptr) return arguments.GetReturnValue().Set(value);
    // A failed commit leaves the subtransaction to be rolled back.
    ErrorData *second = transaction.roll_back();
    if (second != nullptr) FreeErrorData(second);
    return throw_server_error(error);
  }
  error = transaction.roll_back();
  if (error != nullptr) return stop_javascript_here(StopReason::kServerError, error);
  if (stopping()) stop_javascript_here(engine().stop);
}

void subtransaction(const Arguments &arguments) {
  if (arguments.Length() < 1 || !arguments[0]->IsFunction()) return;
  v8::Isolate *isolate = engine().isolate;
  v8::Local<v8::Context> context = isolate->GetCurrentContext();
  v8::Local<v8::Function> work = arguments[0].As<v8::Function>();
  Subtransaction transaction;
  ErrorData *error = transaction.begin();
  if (error != nullptr) return throw_server_error(error);
  v8::Local<v8::String> message;
  {
    v8::TryCatch try_catch(isolate);
    v8::MaybeLocal<v8::Value> result = work->Call(context, work, 0, nullptr);
    if (!result.IsEmpty() || stopping()) {
      finish(transaction, arguments, result);
      if (try_catch.HasCaught() && !try_catch.HasTerminated()) try_catch.ReThrow();
    } else {
      v8::Local<v8::Value> exception = try_catch.Exception();
      finish(transaction, arguments, {});
      v8::TryCatch quiet(isolate);
      if (!exception->ToString(context).ToLocal(&message)) message = literal("unknown exception");
    }
  }
  if (stopping()) return stop_javascript_here(engine().stop);
  // As in PL/V8, what leaves a subtransaction is a new Error that has kept nothing but the message.
  if (!message.IsEmpty()) throw_plain_error(message);
}

}  // namespace maint_v8
