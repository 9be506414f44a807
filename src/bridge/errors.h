// Errors in both directions.
#pragma once

#include "engine.h"

namespace maint_v8 {

// An error on its way from JavaScript to the server: strings in the server's encoding, palloc'd where the call began.
struct Failure {
  int sqlerrcode;  // packed as the server packs it
  char *message;
  char *detail;
  char *hint;
  char *context;
  bool context_is_complete;  // it names what is under way outside of the call as well
  char *schema_name;
  char *table_name;
  char *column_name;
  char *datatype_name;
  char *constraint_name;
};

// Throws new Error(message) in JavaScript.
void throw_error(const char *message);
// The same with a message of JavaScript's, without its leading "Error: ".
void throw_plain_error(v8::Local<v8::String> message);
// The same as throw_error with the properties sqlerrcode and code.
void throw_error_with_code(const char *sqlstate, const char *message);

// Throws an error of the server in JavaScript, as PL/V8 dresses it, and frees it. A cancel and the end of the session
// can't be caught in JavaScript, as in PL/pgSQL: they stop it.
void throw_server_error(ErrorData *error);

// For loops of C++ that may take long: true, and thrown in JavaScript, if the server wants this session to stop.
bool interrupted();

// What the handler raises for an exception that left JavaScript. Runs JavaScript (toString, getters).
Failure *failure_of(v8::TryCatch &try_catch, int default_sqlerrcode = ERRCODE_INTERNAL_ERROR);
Failure *failure_of_message(int sqlerrcode, const char *message);

// The two that jump; called from plain C frames only.
[[noreturn]] void raise_failure(const Failure *failure);
[[noreturn]] void raise_stop(StopReason reason, ErrorData *error);

}  // namespace maint_v8
