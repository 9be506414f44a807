/**
 * A row where the REINDEX CONCURRENTLY of session $1 waits for others and would leave an index if it were cut off: `ccnew`
 * before the swap, `ccold` after it ($2). Not just blocked: autovacuum's snapshot may hold it up before there is anything.
 */
export const leftoverIsDue = `
  select from pg_catalog.pg_locks as w
  where w.pid = $1 and not w.granted and exists (
    select from pg_catalog.pg_locks as l join pg_catalog.pg_class as c on c.oid = l.relation
    where l.pid = w.pid and c.relname ~ ('_' || $2 || '[0-9]*$'))`;
