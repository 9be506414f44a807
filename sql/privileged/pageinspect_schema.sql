-- The schema of pageinspect's functions, quoted. Called by it and with exactly these types they can be no others: whatever
-- else has their names is no member of the extension, or has other types. Raises 0A000 where one is missing. Whoever owns the
-- schema may drop it with the extension and put other functions in place: the lock on their rows makes such a DROP wait for the end
-- of this transaction, so that what is found here is what is called.
create function maint_privileged.pageinspect_schema()
returns text
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $function$
declare
  wanted constant text[] := '{"bt_metap(text)","bt_page_stats(text, bigint)","bt_page_items(text, bigint)","get_raw_page(text, bigint)",page_header(bytea)}';
  found_schema text;
begin
  perform from pg_proc as p
  where p.proname = any (array(select split_part(w.name, '(', 1) from unnest(wanted) as w (name)))
  order by p.oid
  for key share;
  -- With a snapshot of its own, which the function is volatile for: a DROP that was waited for shows.
  select case when count(*) = cardinality(wanted) and count(distinct p.pronamespace) = 1 then min(quote_ident(n.nspname)) end
  into found_schema
  from pg_extension as e
  join pg_depend as d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid
    and d.classid = 'pg_proc'::regclass and d.deptype = 'e'
  join pg_proc as p on p.oid = d.objid
  join pg_namespace as n on n.oid = p.pronamespace
  join pg_language as l on l.oid = p.prolang and l.lanname = 'c'
  join pg_roles as r on r.oid = p.proowner and r.rolsuper
  where e.extname = 'pageinspect' and p.proname || '(' || oidvectortypes(p.proargtypes) || ')' = any (wanted);
  if found_schema is null then
    raise exception 'the extension pageinspect is not installed in this database, or not with the functions of version 1.9'
      using errcode = 'feature_not_supported', hint = 'create extension pageinspect; alter extension pageinspect update;';
  end if;
  return found_schema;
end
$function$;
comment on function maint_privileged.pageinspect_schema() is
  'The schema of pageinspect''s own functions; raises where one is missing.';
