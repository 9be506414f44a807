/** Tables that Citus has distributed: here they are shells, whose rows and indexes other relations hold, most on other servers. */
import { attempt, query } from '../core/program.ts';
import type { Program } from '../core/program.ts';

/** By membership in the extension: any role may have a relation of that name. */
const registerQuery = `
  select pg_catalog.to_jsonb(pg_catalog.format('%I.%I', n.nspname, c.relname)) as row
  from pg_catalog.pg_extension as e
  join pg_catalog.pg_depend as d on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.refobjid = e.oid
    and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype = 'e'
  join pg_catalog.pg_class as c on c.oid = d.objid and c.relkind = 'r' and c.relname = 'pg_dist_partition'
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where e.extname = 'citus'
  order by c.oid`;

/** The oids of distributed and reference tables; none without Citus, null where they may not be read. */
export function* distributedTables(): Program<number[] | null> {
  const [register] = yield* query<string>(registerQuery);
  if (register === undefined) return [];
  const read = yield* attempt(() =>
    query<number>(
      `select pg_catalog.to_jsonb(p.logicalrelid::pg_catalog.oid::pg_catalog.int8) as row from ${register} as p order by p.logicalrelid::pg_catalog.oid`,
    ),
  );
  return read.ok ? read.value : null;
}
