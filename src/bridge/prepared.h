// plv8.prepare and its plans.
#pragma once

#include "bridge.h"
#include "database.h"

namespace maint_v8 {

void prepare(const Arguments &arguments);
void plan_execute(const Arguments &arguments);
void plan_free(const Arguments &arguments);

// Frees the plans whose objects JavaScript has dropped. Their memory is the server's: V8 can't free it while it
// collects garbage.
void free_dropped_plans();
// Frees all of them; the isolate is about to go.
void forget_all_plans();

}  // namespace maint_v8
