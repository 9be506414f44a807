-- The language maint_v8: the part of PL/V8 that pg-maint uses. Read by CREATE EXTENSION, and by build/bridge.ts, which
-- puts the path of the module in place of the word for it.
CREATE FUNCTION pg_catalog.maint_v8_call_handler() RETURNS language_handler
  AS 'MODULE_PATHNAME', 'maint_v8_call_handler' LANGUAGE C;
CREATE FUNCTION pg_catalog.maint_v8_validator(oid) RETURNS void
  AS 'MODULE_PATHNAME', 'maint_v8_validator' LANGUAGE C STRICT;
-- Not trusted: only a superuser may write functions in it. pg-maint gives its own to its owner afterwards.
CREATE LANGUAGE maint_v8 HANDLER pg_catalog.maint_v8_call_handler VALIDATOR pg_catalog.maint_v8_validator;
COMMENT ON LANGUAGE maint_v8 IS 'JavaScript for pg-maint on servers without PL/V8';
