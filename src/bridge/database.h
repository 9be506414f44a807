// plv8.execute and plv8.subtransaction, and what prepared plans share with them.
#pragma once

#include "bridge.h"
#include "guard.h"
#include "types.h"

namespace maint_v8 {

using Arguments = v8::FunctionCallbackInfo<v8::Value>;

void execute(const Arguments &arguments);
void subtransaction(const Arguments &arguments);

// A memory context for the life of a C++ scope, current in it.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;

 private:
  MemoryContext before_;
  MemoryContext context_ = nullptr;
};

// The types of a statement's parameters, as the parser finds them. Lives in the memory context it is made in.
struct ParameterTypes {
  Oid *types;
  int count;
};
void start_parameter_types(ParameterTypes *parameters);
// Prepares with parameter types left to the parser; raises on failure.
SPIPlanPtr prepare_inferring_types(const char *sql, ParameterTypes *parameters);

// The parameters of a call: one array, or what follows the first `skip` arguments.
v8::Local<v8::Array> parameters_of(const Arguments &arguments, int skip);

// Converts `count` parameters in the current memory context; null, with an exception pending, on failure.
ParamListInfo convert_parameters(v8::Local<v8::Array> values, const TypeCodec *codecs, const Oid *types, int count);

// Runs an SPI call that executes a statement, and turns its result into rows or a number.
v8::MaybeLocal<v8::Value> run_statement(int (*statement)(void *), void *argument);

// Ends the subtransaction of a callback: commits and returns the result if there is one, or else rolls back. Leaves an
// exception that is pending.
void finish(Subtransaction &transaction, const Arguments &arguments, v8::MaybeLocal<v8::Value> result);

}  // namespace maint_v8
