// The entry point of the library maint_launcher: the launcher without a language, and so without V8, for servers that
// have PL/V8.
#include "launcher.h"

extern "C" {
#include "fmgr.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);
}

void _PG_init(void) { maint_launcher::register_launcher(); }
