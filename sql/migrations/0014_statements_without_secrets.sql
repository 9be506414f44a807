-- Of a utility statement only what kind it is stays: passwords stand in such texts. Statements that are the same then share
-- one row, as new ones will.
do $$
declare
  kept record;
begin
  for kept in
    select pg_catalog.md5(t.own::text || ' ' || s.text) as digest, s.text, t.own, pg_catalog.min(t.text_id) as text_id,
      pg_catalog.array_agg(t.text_id) as text_ids
    from maint.query_text as t
    cross join lateral (
      select pg_catalog.lower(coalesce(pg_catalog.substring(t.text,
        '(?i)^(?:\s|\(|--[^\n]*(?:\n|$)|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*([a-z]+)'), 'utility')) as text) as s
    where t.verb = 'utility'
    group by s.text, t.own
  loop
    update maint.query_statement as s set text_id = kept.text_id
    where s.text_id = any (kept.text_ids) and s.text_id <> kept.text_id;
    delete from maint.query_text as t where t.text_id = any (kept.text_ids) and t.text_id <> kept.text_id;
    update maint.query_text as t set digest = kept.digest, text = kept.text, length = pg_catalog.length(kept.text),
      parsed_at = coalesce(t.parsed_at, pg_catalog.now()), parse_error = null, fingerprint = null, shape = null
    where t.text_id = kept.text_id;
  end loop;
end
$$;
