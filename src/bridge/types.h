// Values between SQL and JavaScript, by PL/V8's table:
//
//   bool                     boolean
//   int2 int4 float4 float8  number
//   oid numeric              number
//   int8                     BigInt
//   text varchar bpchar xml  string
//   json jsonb               what JSON.parse gives; into SQL objects by JSON.stringify, anything else by String()
//   date timestamp(tz)       Date
//   bytea                    Uint8Array
//   arrays, int2vector       Array, flat
//   any other                string, its text form
//
// Composite types are not supported. Into SQL, a value of another kind than the table's goes
// by way of String(value) and the type's input function.
#pragma once

#include "bridge.h"

namespace maint_v8 {

struct TypeCodec {
  Oid type;  // of arrays: of the element
  bool is_array;
  int16 length;
  bool by_value;
  char alignment;
  Oid input_function;
  Oid input_parameter;
  Oid output_function;
};

// Looks a type up in the catalog; raises for one that is not supported.
void fill_codec(TypeCodec *codec, Oid type);

// Empty, with an exception pending, on failure.
v8::MaybeLocal<v8::Value> to_js(const TypeCodec &codec, Datum datum, bool is_null);
// False, with an exception pending, on failure. The datum is made in the current memory context. Runs JavaScript.
bool to_datum(const TypeCodec &codec, v8::Local<v8::Value> value, Datum *datum, bool *is_null);

// The same for one value that is not null and no array; type_arrays.cc builds arrays of them.
v8::MaybeLocal<v8::Value> scalar_to_js(const TypeCodec &codec, Datum datum);
bool scalar_to_datum(const TypeCodec &codec, v8::Local<v8::Value> value, Datum *datum);
v8::MaybeLocal<v8::Value> array_to_js(const TypeCodec &codec, Datum datum);
bool array_to_datum(const TypeCodec &codec, v8::Local<v8::Value> value, Datum *datum);

}  // namespace maint_v8
