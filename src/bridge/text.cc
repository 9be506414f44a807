#include "text.h"

#include "engine.h"
#include "errors.h"
#include "guard.h"

#include <cstdlib>

namespace maint_v8 {

namespace {

v8::MaybeLocal<v8::String> from_utf8(const char *text, size_t length) {
  v8::Isolate *isolate = engine().isolate;
  v8::Local<v8::String> string;
  if (length <= static_cast<size_t>(v8::String::kMaxLength) &&
      v8::String::NewFromUtf8(isolate, text, v8::NewStringType::kNormal, static_cast<int>(length)).ToLocal(&string)) {
    return string;
  }
  throw_error_with_code("54000", "value is too long for a JavaScript string");
  return {};
}

// A string's bytes, with U+FFFD for a surrogate that stands alone: UTF-8 has no place for one.
class Utf8 {
 public:
  explicit Utf8(v8::Local<v8::String> string) {
    v8::Isolate *isolate = engine().isolate;
#if V8_MAJOR_VERSION >= 13
    length_ = string->Utf8LengthV2(isolate);
    bytes_ = static_cast<char *>(malloc(length_ + 1));
    if (bytes_ != nullptr) string->WriteUtf8V2(isolate, bytes_, length_, v8::String::WriteFlags::kReplaceInvalidUtf8);
#else
    length_ = string->Utf8Length(isolate);
    bytes_ = static_cast<char *>(malloc(length_ + 1));
    constexpr int kOptions = v8::String::NO_NULL_TERMINATION | v8::String::REPLACE_INVALID_UTF8;
    if (bytes_ != nullptr) string->WriteUtf8(isolate, bytes_, static_cast<int>(length_), nullptr, kOptions);
#endif
  }
  ~Utf8() { free(bytes_); }
  Utf8(const Utf8 &) = delete;
  Utf8 &operator=(const Utf8 &) = delete;

  const char *bytes() const { return bytes_; }  // null if there is no memory
  size_t length() const { return length_; }

 private:
  char *bytes_ = nullptr;
  size_t length_ = 0;
};

// Converts length bytes of UTF-8 to a string of the server in the current memory context. May raise.
char *server_text_from_utf8(const char *utf8, size_t length) {
  char *converted = pg_any_to_server(utf8, static_cast<int>(length), PG_UTF8);
  if (converted != utf8) return converted;
  char *copy = static_cast<char *>(MemoryContextAllocHuge(CurrentMemoryContext, length + 1));
  memcpy(copy, utf8, length);
  copy[length] = '\0';
  return copy;
}

}  // namespace

v8::MaybeLocal<v8::String> to_js_string(const char *text, size_t length) {
  // SQL_ASCII knows no characters: where its bytes are no UTF-8 either, U+FFFD stands for them, as with a client.
  int encoding = GetDatabaseEncoding();
  if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII || length == 0) return from_utf8(text, length);
  char *utf8 = nullptr;
  ErrorData *error = guarded([&] { utf8 = pg_server_to_any(text, static_cast<int>(length), PG_UTF8); });
  if (error != nullptr) {
    throw_server_error(error);
    return {};
  }
  v8::MaybeLocal<v8::String> string = from_utf8(utf8, utf8 == text ? length : strlen(utf8));
  if (utf8 != text) pfree(utf8);
  return string;
}

v8::MaybeLocal<v8::String> to_js_string(const char *text) { return to_js_string(text, strlen(text)); }

v8::Local<v8::String> to_js_message(const char *text) {
  v8::TryCatch try_catch(engine().isolate);
  v8::Local<v8::String> string;
  return to_js_string(text).ToLocal(&string) ? string : literal("?");
}

v8::Local<v8::String> literal(const char *ascii) {
  return v8::String::NewFromUtf8(engine().isolate, ascii, v8::NewStringType::kInternalized).ToLocalChecked();
}

char *to_server_text(v8::Local<v8::Value> value) {
  v8::Isolate *isolate = engine().isolate;
  v8::Local<v8::String> string;
  if (!value->ToString(isolate->GetCurrentContext()).ToLocal(&string)) return nullptr;
  // One that is put together lazily takes its memory only here.
  if (static_cast<size_t>(string->Length()) > engine().memory_limit) {
    throw_error_with_code("53200", "a string for PostgreSQL is larger than maint_v8.memory_limit");
    return nullptr;
  }
  Utf8 utf8(string);
  if (utf8.bytes() == nullptr) {
    throw_error_with_code("53200", "out of memory for a string");
    return nullptr;
  }
  size_t length = utf8.length();
  if (memchr(utf8.bytes(), '\0', length) != nullptr) {
    throw_error_with_code("22021", "a string for PostgreSQL can't contain the character U+0000");
    return nullptr;
  }
  if (length >= MaxAllocSize) {
    throw_error_with_code("54000", "string is too long for PostgreSQL");
    return nullptr;
  }
  char *result = nullptr;
  const char *bytes = utf8.bytes();
  ErrorData *error = guarded([&] { result = server_text_from_utf8(bytes, length); });
  if (error == nullptr) return result;
  throw_server_error(error);
  return nullptr;
}

char *to_server_message(v8::Local<v8::Value> value) {
  v8::Isolate *isolate = engine().isolate;
  v8::TryCatch try_catch(isolate);
  v8::Local<v8::String> string;
  if (!value->ToString(isolate->GetCurrentContext()).ToLocal(&string)) return nullptr;
  if (static_cast<size_t>(string->Length()) > engine().memory_limit) return nullptr;
  Utf8 utf8(string);
  if (utf8.bytes() == nullptr) return nullptr;
  // A message longer than this helps nobody, and must not exhaust the memory that reports it.
  constexpr size_t kLongest = 64 * 1024;
  std::string text(utf8.bytes(), std::min(utf8.length(), kLongest));
  for (size_t at = 0; (at = text.find('\0', at)) != std::string::npos;) text.replace(at, 1, "\xEF\xBF\xBD");
  char *result = nullptr;
  const char *bytes = text.data();
  size_t length = pg_encoding_mbcliplen(PG_UTF8, bytes, static_cast<int>(text.size()), static_cast<int>(text.size()));
  ErrorData *error = guarded([&] { result = server_text_from_utf8(bytes, length); });
  if (error != nullptr) FreeErrorData(error);
  return result;
}

}  // namespace maint_v8
