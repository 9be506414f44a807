// Strings between JavaScript (UTF-16) and the server (the database's encoding).
#pragma once

#include "bridge.h"

namespace maint_v8 {

// From the server's encoding. Empty, with a JavaScript exception pending, if it can't be converted or is too long.
v8::MaybeLocal<v8::String> to_js_string(const char *text, size_t length);
v8::MaybeLocal<v8::String> to_js_string(const char *text);

// For messages: never fails, and falls back on a question mark.
v8::Local<v8::String> to_js_message(const char *text);

// Of ASCII in our own source.
v8::Local<v8::String> literal(const char *ascii);

// String(value) in the server's encoding, in the current memory context. Null, with a JavaScript exception pending,
// if value can't be a string, or the string holds a NUL, which PostgreSQL can't store.
char *to_server_text(v8::Local<v8::Value> value);

// The same for messages: never runs JavaScript twice, never leaves an exception, shows a NUL as U+FFFD; null if value
// can't be a string.
char *to_server_message(v8::Local<v8::Value> value);

}  // namespace maint_v8
