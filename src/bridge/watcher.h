// The thread that notices, while JavaScript runs, that the server wants something of this backend: a cancel, the end
// of the session, a barrier. V8 can't be told so from a signal handler, only from another thread. Where V8 does not come
// back, or takes far more memory than it may, the thread has the session ended (kill.h).
#pragma once

#include "bridge.h"

namespace maint_v8 {

// Starts the thread, which never handles a signal. False if it can't be started. Called on the main thread.
bool start_watcher();

// From now on this isolate runs JavaScript; null: none does.
void watch(v8::Isolate *isolate);

}  // namespace maint_v8
