#include "prepared.h"

#include "engine.h"
#include "errors.h"
#include "guard.h"
#include "text.h"

#include <unordered_set>

namespace maint_v8 {

namespace {

// As many as a client may give a statement. A list of types may say that it has 4 billion.
constexpr uint32 kMostParameters = 65535;

struct Plan {
  SPIPlanPtr plan = nullptr;
  std::vector<Oid> types;
  std::vector<TypeCodec> codecs;
  v8::Global<v8::Object> object;  // weak
  int in_use = 0;                 // executions under way; a parameter's toJSON may call free()
  bool dropped = false;
};

std::unordered_set<Plan *> &plans() {
  static auto *all = new std::unordered_set<Plan *>();
  return *all;
}

bool any_dropped = false;

void free_server_plan(Plan *plan) {
  if (plan->plan == nullptr || plan->in_use > 0) return;
  SPIPlanPtr server_plan = plan->plan;
  plan->plan = nullptr;
  ErrorData *error = guarded([&] { SPI_freeplan(server_plan); });
  if (error != nullptr) FreeErrorData(error);
}

void on_collected(const v8::WeakCallbackInfo<Plan> &info) {
  info.GetParameter()->object.Reset();
  info.GetParameter()->dropped = true;
  any_dropped = true;
}

Plan *plan_of(const Arguments &arguments) {
  v8::Local<v8::Object> object = arguments.This();
  if (object->InternalFieldCount() > 0) {
    v8::Local<v8::Value> field = object->GetInternalField(0).As<v8::Value>();
    if (field->IsExternal()) return static_cast<Plan *>(field.As<v8::External>()->Value());
  }
  throw_error("this is no plan of plv8.prepare");
  return nullptr;
}

Oid type_named(const char *name) {
  Oid type = InvalidOid;
  int32 modifier = -1;
#if PG_VERSION_NUM >= 160000
  parseTypeString(name, &type, &modifier, nullptr);
#else
  parseTypeString(name, &type, &modifier, false);
#endif
  return type;
}

// The plan outlives the call. With types named it is prepared once; if the parser is to find them, the first plan is
// thrown away, since its parameters would go on pointing to where the types were collected.
SPIPlanPtr make_plan(const char *sql, ParameterTypes *types, bool infer) {
  if (infer) {
    start_parameter_types(types);
    SPI_freeplan(prepare_inferring_types(sql, types));
    for (int at = 0; at < types->count; at++) {
      if (!OidIsValid(types->types[at])) {
        ereport(ERROR, (errcode(ERRCODE_INDETERMINATE_DATATYPE),
                        errmsg("could not determine data type of parameter $%d", at + 1)));
      }
      if (types->types[at] == UNKNOWNOID) types->types[at] = TEXTOID;
    }
  }
  SPIPlanPtr plan = SPI_prepare(sql, types->count, types->types);
  if (plan == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("%s", SPI_result_code_string(SPI_result))));
  }
  if (SPI_keepplan(plan) != 0) elog(ERROR, "could not keep a plan");
  return plan;
}

v8::MaybeLocal<v8::Value> wrap(Plan *plan) {
  v8::Isolate *isolate = engine().isolate;
  v8::Local<v8::Context> context = isolate->GetCurrentContext();
  v8::Local<v8::Object> object;
  if (!engine().active->plan_template.Get(isolate)->NewInstance(context).ToLocal(&object)) return {};
  object->SetInternalField(0, v8::External::New(isolate, plan));
  plan->object.Reset(isolate, object);
  plan->object.SetWeak(plan, on_collected, v8::WeakCallbackType::kParameter);
  return object;
}

bool read_type_names(const Arguments &arguments, std::vector<char *> &names) {
  v8::Local<v8::Array> values = parameters_of(arguments, 1);
  if (values->Length() > kMostParameters) {
    throw_error_with_code("54023", "a statement can't have more than 65535 parameters");
    return false;
  }
  for (uint32 at = 0; at < values->Length(); at++) {
    v8::Local<v8::Value> value;
    if (!values->Get(engine().isolate->GetCurrentContext(), at).ToLocal(&value)) return false;
    char *name = to_server_text(value);
    if (name == nullptr) return false;
    names.push_back(name);
  }
  return true;
}

v8::MaybeLocal<v8::Value> prepare_plan(const char *sql, const std::vector<char *> &names, bool infer) {
  ParameterTypes types = {nullptr, static_cast<int>(names.size())};
  SPIPlanPtr server_plan = nullptr;
  TypeCodec *codecs = nullptr;
  char *const *type_names = names.data();
  ErrorData *error = guarded([&] {
    if (!infer) types.types = static_cast<Oid *>(palloc0(sizeof(Oid) * (types.count + 1)));
    for (int at = 0; at < types.count; at++) types.types[at] = type_named(type_names[at]);
    server_plan = make_plan(sql, &types, infer);
    codecs = static_cast<TypeCodec *>(palloc0(sizeof(TypeCodec) * (types.count + 1)));
    for (int at = 0; at < types.count; at++) fill_codec(&codecs[at], types.types[at]);
  });
  if (error == nullptr) {
    auto plan = std::make_unique<Plan>();
    plan->plan = server_plan;
    plan->types.assign(types.types, types.types + types.count);
    plan->codecs.assign(codecs, codecs + types.count);
    Plan *kept = plan.get();
    plans().insert(plan.release());
    v8::MaybeLocal<v8::Value> object = wrap(kept);
    if (object.IsEmpty()) kept->dropped = any_dropped = true;
    return object;
  }
  if (server_plan != nullptr) {
    ErrorData *second = guarded([&] { SPI_freeplan(server_plan); });
    if (second != nullptr) FreeErrorData(second);
  }
  throw_server_error(error);
  return {};
}

}  // namespace

void prepare(const Arguments &arguments) {
  Scratch scratch;
  char *sql = to_server_text(arguments[0]);
  std::vector<char *> names;
  if (sql == nullptr || !read_type_names(arguments, names)) return;
  Subtransaction transaction;
  ErrorData *error = transaction.begin();
  if (error != nullptr) return throw_server_error(error);
  finish(transaction, arguments, prepare_plan(sql, names, arguments.Length() < 2));
}

void plan_execute(const Arguments &arguments) {
  Plan *plan = plan_of(arguments);
  if (plan == nullptr) return;
  if (plan->plan == nullptr || plan->dropped) return throw_error("the plan was freed");
  Scratch scratch;
  v8::Local<v8::Array> values = parameters_of(arguments, 0);
  int expected = static_cast<int>(plan->types.size());
  if (static_cast<int>(values->Length()) != expected) {
    std::string text = "plan expected " + std::to_string(expected) + " argument(s), given is ";
    return throw_error((text + std::to_string(values->Length())).c_str());
  }
  struct Work {
    SPIPlanPtr plan;
    ParamListInfo parameters;
  } work = {plan->plan, nullptr};
  Subtransaction transaction;
  ErrorData *error = transaction.begin();
  if (error != nullptr) return throw_server_error(error);
  plan->in_use++;
  // Inside: a type's input may run any function, and what that leaves behind when it fails must be undone.
  work.parameters = convert_parameters(values, plan->codecs.data(), plan->types.data(), expected);
  v8::MaybeLocal<v8::Value> result;
  if (work.parameters != nullptr) {
    result = run_statement(
        [](void *argument) {
          auto *statement = static_cast<Work *>(argument);
          return SPI_execute_plan_with_paramlist(statement->plan, statement->parameters, false, 0);
        },
        &work);
  }
  finish(transaction, arguments, result);
  plan->in_use--;
  if (plan->dropped) free_server_plan(plan);
}

void plan_free(const Arguments &arguments) {
  Plan *plan = plan_of(arguments);
  if (plan == nullptr) return;
  if (plan->plan != nullptr && plan->in_use > 0) {
    plan->dropped = true;
  } else {
    free_server_plan(plan);
  }
  arguments.GetReturnValue().Set(0);
}

void free_dropped_plans() {
  if (!any_dropped) return;
  any_dropped = false;
  for (auto at = plans().begin(); at != plans().end();) {
    Plan *plan = *at;
    // One that was freed by hand while in use still has its object.
    if (!plan->dropped || !plan->object.IsEmpty()) {
      ++at;
      continue;
    }
    free_server_plan(plan);
    at = plans().erase(at);
    delete plan;
  }
}

void forget_all_plans() {
  for (Plan *plan : plans()) {
    free_server_plan(plan);
    plan->object.Reset();
    delete plan;
  }
  plans().clear();
}

}  // namespace maint_v8
