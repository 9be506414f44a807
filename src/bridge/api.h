// What JavaScript finds: the object plv8 and the levels of elog.
#pragma once

#include "bridge.h"
#include "engine.h"

namespace maint_v8 {

// Fills in a role's context; false if V8 can't make one.
bool make_context(RoleContext &role);

}  // namespace maint_v8
