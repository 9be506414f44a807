// The end of a session whose JavaScript does not come back: a builtin of V8 that takes minutes asks for no interrupt.
//
// The session ends by FATAL, raised on the main thread in the handler of a signal. That is safe only while the main
// thread is in V8's own code: then the server is between two of its actions, as in CHECK_FOR_INTERRUPTS, and no lock of
// the C library is held. V8 is never entered again. The handler looks at where it interrupted the thread and, anywhere
// else, does nothing; the watcher sends the signal again with its next poll. So the postmaster sees an ordinary exit
// and restarts nobody.
#pragma once

#include "bridge.h"

namespace maint_v8 {

enum class KillReason { kNone, kOverdue, kMemory };

// maint_v8.kill_after, in ms.
extern int kill_after_setting;

// Installs the handler. Called once, on the main thread.
void prepare_to_end_session();

// Called by the watcher's thread.
void end_session(KillReason reason);

}  // namespace maint_v8
