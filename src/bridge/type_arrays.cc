#include "engine.h"
#include "errors.h"
#include "guard.h"
#include "types.h"

namespace maint_v8 {

v8::MaybeLocal<v8::Value> array_to_js(const TypeCodec &codec, Datum datum) {
  v8::Isolate *isolate = engine().isolate;
  v8::EscapableHandleScope scope(isolate);
  v8::Local<v8::Context> context = isolate->GetCurrentContext();
  Datum *values = nullptr;
  bool *nulls = nullptr;
  int count = 0;
  ErrorData *error = guarded([&] {
    deconstruct_array(DatumGetArrayTypeP(datum), codec.type, codec.length, codec.by_value, codec.alignment, &values,
                      &nulls, &count);
  });
  if (error != nullptr) {
    throw_server_error(error);
    return {};
  }
  v8::Local<v8::Array> array = v8::Array::New(isolate, count);
  bool complete = true;
  for (int at = 0; at < count && complete; at++) {
    v8::HandleScope element_scope(isolate);
    v8::Local<v8::Value> element = v8::Null(isolate);
    complete = !interrupted() && memory_fits_so_far() && (nulls[at] || scalar_to_js(codec, values[at]).ToLocal(&element)) &&
               array->CreateDataProperty(context, at, element).FromMaybe(false);
  }
  pfree(values);
  pfree(nulls);
  if (!complete) return {};
  return scope.Escape(array);
}

bool array_to_datum(const TypeCodec &codec, v8::Local<v8::Value> value, Datum *datum) {
  if (!value->IsArray()) {
    throw_error("value is not an Array");
    return false;
  }
  v8::Isolate *isolate = engine().isolate;
  v8::Local<v8::Context> context = isolate->GetCurrentContext();
  v8::Local<v8::Array> array = value.As<v8::Array>();
  uint32 count = array->Length();
  Datum *values = nullptr;
  bool *nulls = nullptr;
  ErrorData *error = guarded([&] {
    values = static_cast<Datum *>(palloc_extended(sizeof(Datum) * count, 0));
    nulls = static_cast<bool *>(palloc(count));
  });
  for (uint32 at = 0; at < count && error == nullptr; at++) {
    v8::HandleScope element_scope(isolate);
    v8::Local<v8::Value> element;
    if (interrupted() || stopping() || !array->Get(context, at).ToLocal(&element)) return false;
    nulls[at] = element->IsNullOrUndefined();
    values[at] = 0;
    if (!nulls[at] && !scalar_to_datum(codec, element, &values[at])) return false;
  }
  if (error == nullptr) {
    error = guarded([&] {
      int dimensions[] = {static_cast<int>(count)};
      int lower_bounds[] = {1};
      ArrayType *result = count == 0
                              ? construct_empty_array(codec.type)
                              : construct_md_array(values, nulls, 1, dimensions, lower_bounds, codec.type,
                                                   codec.length, codec.by_value, codec.alignment);
      *datum = PointerGetDatum(result);
    });
  }
  if (error == nullptr) return true;
  throw_server_error(error);
  return false;
}

}  // namespace maint_v8
