#include "types.h"

#include "engine.h"
#include "errors.h"
#include "guard.h"
#include "text.h"

extern "C" {
#include "datatype/timestamp.h"
#include "parser/parse_coerce.h"
#include "utils/date.h"
#include "utils/timestamp.h"
}

#include <cmath>

namespace maint_v8 {

namespace {

constexpr int64 kEpochDays = POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE;
constexpr double kMillisecondsPerDay = 86400000.0;

// Runs a server function and throws its error in JavaScript; false then.
template <typename Work>
bool server(Work &&work) {
  ErrorData *error = guarded(work);
  if (error == nullptr) return true;
  throw_server_error(error);
  return false;
}

v8::MaybeLocal<v8::Value> date_to_js(double milliseconds) {
  return v8::Date::New(engine().isolate->GetCurrentContext(), milliseconds);
}

v8::MaybeLocal<v8::Value> text_to_js(Datum datum, bool as_json) {
  text *value = nullptr;
  if (!server([&] { value = DatumGetTextPP(datum); })) return {};
  v8::Local<v8::String> string;
  bool converted = to_js_string(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)).ToLocal(&string);
  if (reinterpret_cast<Pointer>(value) != DatumGetPointer(datum)) pfree(value);
  if (!converted) return {};
  if (as_json) return v8::JSON::Parse(engine().isolate->GetCurrentContext(), string);
  return string;
}

v8::MaybeLocal<v8::Value> output_to_js(Oid output_function, Datum datum, bool as_json) {
  char *value = nullptr;
  if (!server([&] { value = OidOutputFunctionCall(output_function, datum); })) return {};
  v8::Local<v8::String> string;
  bool converted = to_js_string(value).ToLocal(&string);
  pfree(value);
  if (!converted) return {};
  if (as_json) return v8::JSON::Parse(engine().isolate->GetCurrentContext(), string);
  return string;
}

v8::MaybeLocal<v8::Value> bytes_to_js(Datum datum) {
  bytea *value = nullptr;
  if (!server([&] { value = DatumGetByteaPP(datum); })) return {};
  size_t length = VARSIZE_ANY_EXHDR(value);
  v8::Isolate *isolate = engine().isolate;
  // ArrayBuffer::New aborts where it finds no memory; the constructor of JavaScript throws.
  v8::Local<v8::Context> context = isolate->GetCurrentContext();
  v8::Local<v8::Value> constructor;
  v8::Local<v8::Value> size = v8::Number::New(isolate, static_cast<double>(length));
  v8::Local<v8::Object> array;
  if (!context->Global()->Get(context, literal("Uint8Array")).ToLocal(&constructor) || !constructor->IsFunction() ||
      !constructor.As<v8::Function>()->NewInstance(context, 1, &size).ToLocal(&array)) {
    return {};
  }
  if (!array->IsUint8Array() || array.As<v8::Uint8Array>()->ByteLength() != length) {
    throw_error("Uint8Array was replaced");
    return {};
  }
  v8::Local<v8::Uint8Array> bytes = array.As<v8::Uint8Array>();
  memcpy(static_cast<char *>(bytes->Buffer()->GetBackingStore()->Data()) + bytes->ByteOffset(), VARDATA_ANY(value),
         length);
  if (reinterpret_cast<Pointer>(value) != DatumGetPointer(datum)) pfree(value);
  return array;
}

bool bytes_to_datum(v8::Local<v8::ArrayBufferView> view, Datum *datum) {
  size_t length = view->ByteLength();
  return server([&] {
    bytea *value = static_cast<bytea *>(palloc(length + VARHDRSZ));
    SET_VARSIZE(value, length + VARHDRSZ);
    view->CopyContents(VARDATA(value), length);
    *datum = PointerGetDatum(value);
  });
}

bool out_of_range(const char *type) {
  throw_error_with_code("22003", (std::string("value out of range for type ") + type).c_str());
  return false;
}

// PL/V8 lets a number that is out of range wrap around, or go to 0; a fraction is cut off there and here.
bool whole_number(double number, double least, double most, const char *type, int64 *result) {
  double whole = std::trunc(number);
  if (!(whole >= least && whole <= most)) return out_of_range(type);
  *result = static_cast<int64>(whole);
  return true;
}

bool number_to_datum(Oid type, double number, Datum *datum, bool *done) {
  int64 whole = 0;
  *done = true;
  switch (type) {
    case INT2OID:
      if (!whole_number(number, PG_INT16_MIN, PG_INT16_MAX, "smallint", &whole)) return false;
      *datum = Int16GetDatum(static_cast<int16>(whole));
      return true;
    case INT4OID:
      if (!whole_number(number, PG_INT32_MIN, PG_INT32_MAX, "integer", &whole)) return false;
      *datum = Int32GetDatum(static_cast<int32>(whole));
      return true;
    case INT8OID:
      // The greatest double below 2^63.
      if (!whole_number(number, -9223372036854775808.0, 9223372036854774784.0, "bigint", &whole)) return false;
      *datum = Int64GetDatum(whole);
      return true;
    case OIDOID:
      if (!whole_number(number, 0, PG_UINT32_MAX, "oid", &whole)) return false;
      *datum = ObjectIdGetDatum(static_cast<Oid>(whole));
      return true;
    case FLOAT4OID:
      *datum = Float4GetDatum(static_cast<float4>(number));
      return true;
    case FLOAT8OID:
      *datum = Float8GetDatum(number);
      return true;
    case NUMERICOID:
      return server([&] { *datum = DirectFunctionCall1(float8_numeric, Float8GetDatum(number)); });
    default:
      *done = false;
      return true;
  }
}

bool date_to_datum(Oid type, double milliseconds, Datum *datum) {
  double days = std::floor(milliseconds / kMillisecondsPerDay);
  if (std::isnan(milliseconds)) return out_of_range(type == DATEOID ? "date" : "timestamp");
  // A Date reaches 100 million days from 1970, which every type of the server holds on the later side only.
  if (type == DATEOID) {
    DateADT date = static_cast<DateADT>(days - kEpochDays);
    if (!IS_VALID_DATE(date)) return out_of_range("date");
    *datum = DateADTGetDatum(date);
    return true;
  }
  Timestamp stamp = static_cast<Timestamp>(milliseconds - kEpochDays * kMillisecondsPerDay) * 1000;
  if (!IS_VALID_TIMESTAMP(stamp)) return out_of_range("timestamp");
  *datum = TimestampGetDatum(stamp);
  return true;
}

}  // namespace

void fill_codec(TypeCodec *codec, Oid type) {
  char category;
  bool preferred;
  get_type_category_preferred(type, &category, &preferred);
  codec->is_array = category == TYPCATEGORY_ARRAY;
  codec->type = codec->is_array ? get_element_type(type) : type;
  if (codec->is_array && OidIsValid(codec->type)) get_type_category_preferred(codec->type, &category, &preferred);
  if (!OidIsValid(codec->type) || category == TYPCATEGORY_COMPOSITE || codec->type == RECORDOID ||
      codec->type == RECORDARRAYOID) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("type %s is not supported by maint_v8", format_type_be(type)),
                    errhint("Convert it in SQL, for instance with to_jsonb.")));
  }
  bool is_variable_length;
  get_typlenbyvalalign(codec->type, &codec->length, &codec->by_value, &codec->alignment);
  getTypeInputInfo(codec->type, &codec->input_function, &codec->input_parameter);
  getTypeOutputInfo(codec->type, &codec->output_function, &is_variable_length);
}

v8::MaybeLocal<v8::Value> scalar_to_js(const TypeCodec &codec, Datum datum) {
  v8::Isolate *isolate = engine().isolate;
  switch (codec.type) {
    case BOOLOID:
      return v8::Boolean::New(isolate, DatumGetBool(datum));
    case INT2OID:
      return v8::Integer::New(isolate, DatumGetInt16(datum));
    case INT4OID:
      return v8::Integer::New(isolate, DatumGetInt32(datum));
    case OIDOID:
      return v8::Integer::NewFromUnsigned(isolate, DatumGetObjectId(datum));
    case INT8OID:
      return v8::BigInt::New(isolate, DatumGetInt64(datum));
    case FLOAT4OID:
      return v8::Number::New(isolate, DatumGetFloat4(datum));
    case FLOAT8OID:
      return v8::Number::New(isolate, DatumGetFloat8(datum));
    case NUMERICOID: {
      double number = 0;
      if (!server([&] { number = DatumGetFloat8(DirectFunctionCall1(numeric_float8, datum)); })) return {};
      return v8::Number::New(isolate, number);
    }
    case DATEOID: {
      DateADT date = DatumGetDateADT(datum);
      return date_to_js(DATE_NOT_FINITE(date) ? std::nan("") : (date + kEpochDays) * kMillisecondsPerDay);
    }
    case TIMESTAMPOID:
    case TIMESTAMPTZOID: {
      Timestamp stamp = DatumGetTimestamp(datum);
      bool finite = !TIMESTAMP_NOT_FINITE(stamp);
      return date_to_js(finite ? stamp / 1000.0 + kEpochDays * kMillisecondsPerDay : std::nan(""));
    }
    case BYTEAOID:
      return bytes_to_js(datum);
    case TEXTOID:
    case VARCHAROID:
    case BPCHAROID:
    case XMLOID:
      return text_to_js(datum, false);
    case JSONOID:
      return text_to_js(datum, true);
    default:
      return output_to_js(codec.output_function, datum, codec.type == JSONBOID);
  }
}

v8::MaybeLocal<v8::Value> to_js(const TypeCodec &codec, Datum datum, bool is_null) {
  if (is_null) return v8::Null(engine().isolate);
  return codec.is_array ? array_to_js(codec, datum) : scalar_to_js(codec, datum);
}

bool scalar_to_datum(const TypeCodec &codec, v8::Local<v8::Value> value, Datum *datum) {
  bool is_json = codec.type == JSONOID || codec.type == JSONBOID;
  if (codec.type == BOOLOID && value->IsBoolean()) {
    *datum = BoolGetDatum(value->IsTrue());
    return true;
  }
  if (value->IsNumber()) {
    bool done = false;
    if (!number_to_datum(codec.type, value.As<v8::Number>()->Value(), datum, &done)) return false;
    if (done) return true;
  } else if (value->IsBigInt() && codec.type == INT8OID) {
    bool lossless = false;
    *datum = Int64GetDatum(value.As<v8::BigInt>()->Int64Value(&lossless));
    return lossless || out_of_range("bigint");
  } else if (value->IsDate() && (codec.type == DATEOID || codec.type == TIMESTAMPOID || codec.type == TIMESTAMPTZOID)) {
    return date_to_datum(codec.type, value.As<v8::Date>()->ValueOf(), datum);
  } else if (value->IsArrayBufferView() && codec.type == BYTEAOID) {
    return bytes_to_datum(value.As<v8::ArrayBufferView>(), datum);
  } else if (is_json && value->IsObject()) {
    v8::Local<v8::String> json;
    if (!v8::JSON::Stringify(engine().isolate->GetCurrentContext(), value).ToLocal(&json)) return false;
    value = json;
  }
  char *text = to_server_text(value);
  if (text == nullptr) return false;
  bool converted = server([&] {
    *datum = codec.type == TEXTOID ? CStringGetTextDatum(text)
                                   : OidInputFunctionCall(codec.input_function, text, codec.input_parameter, -1);
  });
  pfree(text);
  return converted;
}

bool to_datum(const TypeCodec &codec, v8::Local<v8::Value> value, Datum *datum, bool *is_null) {
  *datum = 0;
  *is_null = value->IsNullOrUndefined();
  if (*is_null) return true;
  return codec.is_array ? array_to_datum(codec, value, datum) : scalar_to_datum(codec, value, datum);
}

}  // namespace maint_v8
