/** Foreign keys whose triggers are disabled on a table or on one partition: nothing enforces them there, though the key looks valid. */
import { query } from '../../core/program.ts';
import type { IntegrityCheck } from './check.ts';
import { integrityKind, summarizeNames, userSchema, wholeReport } from './check.ts';

/** A table on which triggers of a key are disabled. */
interface DisabledOn {
  table: string;
  /** Enables triggers of keys only, and none that a user disabled on purpose. */
  remedy: string;
}

interface Row {
  schema: string;
  table: string;
  constraint: string;
  quoted_table: string;
  quoted_constraint: string;
  /** Null where all triggers fire. */
  disabled_on: DisabledOn[] | null;
}

/**
 * A key of partitioned tables has a constraint of its own for each partition of either side, with triggers of its own,
 * and each is disabled by itself; `conparentid` leads to the key that was declared. tgenabled: O fires in origin mode, A
 * always; D never, R only while replaying. The server skips the check of referencing rows on a partitioned table itself,
 * as the partition's own trigger checks them: RI_FKey_check_ins (1644) and RI_FKey_check_upd (1645) do not count there.
 * Triggers are enabled by name where `enable trigger all` would also enable what a user disabled.
 */
const text = `
  with recursive disabled (constraint_oid, relation, trigger_name) as materialized (
    select g.tgconstraint, g.tgrelid, g.tgname
    from pg_catalog.pg_trigger as g
    join pg_catalog.pg_class as t on t.oid = g.tgrelid
    where g.tgisinternal and g.tgconstraint <> 0 and g.tgenabled in ('D', 'R')
      and not (t.relkind = 'p' and g.tgfoid in (1644, 1645))
  ), lineage (constraint_oid, ancestor, parent) as (
    select k.oid, k.oid, k.conparentid
    from pg_catalog.pg_constraint as k
    where k.contype = 'f' and k.oid in (select d.constraint_oid from disabled as d)
    union all
    select l.constraint_oid, k.oid, k.conparentid
    from lineage as l
    join pg_catalog.pg_constraint as k on k.oid = l.parent
    where l.parent <> 0
  ), off as (
    select l.ancestor as oid, d.relation, pg_catalog.array_agg(d.trigger_name order by d.trigger_name) as triggers
    from lineage as l
    join disabled as d on d.constraint_oid = l.constraint_oid
    where l.parent = 0
    group by l.ancestor, d.relation
  ), described as (
    select off.oid, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('table', q.quoted,
        'remedy', case
          when exists (
            select from pg_catalog.pg_trigger as u
            where u.tgrelid = t.oid and u.tgenabled <> 'O' and (not u.tgisinternal or u.tgconstraint = 0))
          then (
            select pg_catalog.string_agg(pg_catalog.format('alter table only %s enable trigger %I;', q.quoted, u.name),
              e'\\n' order by u.name)
            from pg_catalog.unnest(off.triggers) as u (name))
          else pg_catalog.format('alter table %s%s enable trigger all;', case t.relkind when 'p' then 'only ' end, q.quoted)
        end) order by q.quoted) as tables
    from off
    join pg_catalog.pg_class as t on t.oid = off.relation
    join pg_catalog.pg_namespace as tn on tn.oid = t.relnamespace
    cross join lateral (select pg_catalog.format('%I.%I', tn.nspname, t.relname) as quoted) as q
    group by off.oid
  )
  select pg_catalog.jsonb_build_object('schema', n.nspname, 'table', c.relname, 'constraint', k.conname,
      'quoted_table', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'quoted_constraint', pg_catalog.quote_ident(k.conname),
      'disabled_on', d.tables) as row
  from pg_catalog.pg_constraint as k
  join pg_catalog.pg_class as c on c.oid = k.conrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  left join described as d on d.oid = k.oid
  where k.contype = 'f' and k.conparentid = 0 and ${userSchema}
  order by n.nspname, c.relname, k.conname`;

const name = 'foreign_key_disabled';

export const foreignKeyDisabled: IntegrityCheck = {
  name,
  title: 'Foreign keys whose triggers are disabled',
  *look() {
    const rows = yield* query<Row>(text);
    const findings = rows.flatMap((row) => {
      const { disabled_on: disabled } = row;
      if (!disabled) return [];
      const tables = disabled.map(({ table }) => table);
      return {
        kind: integrityKind(name),
        severity: 'critical' as const,
        schema: row.schema,
        table: row.table,
        object: row.constraint,
        summary: `Foreign key ${row.quoted_constraint} of ${row.quoted_table} is not enforced: its triggers are disabled on ${summarizeNames(tables)}.`,
        detail: { disabled_on: tables },
        remedy: disabled.map(({ remedy }) => remedy).join('\n'),
      };
    });
    return wholeReport(rows.length, findings);
  },
};
