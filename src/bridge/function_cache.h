// Compiled functions, one for each function and role, as long as their row in pg_proc stays the same.
#pragma once

#include "bridge.h"
#include "engine.h"
#include "types.h"

namespace maint_v8 {

struct CompiledFunction {
  TransactionId xmin = InvalidTransactionId;  // of the row in pg_proc, with its place
  ItemPointerData tid = {};
  uint32 hash_value = 0;  // by which the server announces changes
  bool stale = false;
  bool returns_void = false;
  TypeCodec result = {};
  std::vector<TypeCodec> arguments;
  v8::Global<v8::Function> function;
};

// The function compiled in a role's context, which is entered. Null, with an exception pending, on failure. It stays
// usable for its holder when it is replaced meanwhile.
std::shared_ptr<CompiledFunction> find_function(Oid function, RoleContext &role);

// Compiles it without keeping it. False, with an exception pending, if it has an error.
bool check_function(Oid function);

// Raises for what the language does not support: sets, triggers, OUT and VARIADIC arguments, pseudo-types.
void check_signature(Oid function);

void forget_all_functions();

}  // namespace maint_v8
