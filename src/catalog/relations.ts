/** Pieces of SQL about relations that several queries share. */

/** An expression: the first extension, by name, that owns one of the relations with these oids; null where none does. */
export function owningExtension(...oids: readonly string[]): string {
  return `(
        select e.extname
        from pg_catalog.pg_depend as d
        join pg_catalog.pg_extension as e on e.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid in (${oids.join(', ')})
          and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.deptype = 'e'
        order by e.extname limit 1)`;
}

/**
 * A query: the relations of this database that others hold, or wait to hold, exclusively. What asks for a size or a definition would
 * wait behind them: such relations are passed over. A prepared transaction counts.
 */
export const lockedRelations = `select distinct l.relation
    from pg_catalog.pg_locks as l
    where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.pid is distinct from pg_catalog.pg_backend_pid()
      and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())`;

/** A query: names that more than one relation bears, in whatever schemas. Text alone does not tell these apart. */
export const ambiguousNames = `
    select c.relname
    from pg_catalog.pg_class as c
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
    group by c.relname having pg_catalog.count(*) > 1`;

/** A recursive WITH query: base_type gives each type the base type that it may be taken as, and the modifier that its domains give. */
export const baseTypes = `
  base_type (oid, base, modifier) as (
    select t.oid, t.oid, -1 from pg_catalog.pg_type as t where t.typtype <> 'd'
    union all
    select t.oid, b.base, case when t.typtypmod <> -1 then t.typtypmod else b.modifier end
    from base_type as b
    join pg_catalog.pg_type as t on t.typbasetype = b.oid and t.typtype = 'd'
  )`;

/** An expression: the base type b.base, whose row in pg_type is bt, has a default B-tree operator class. */
export const isSortable = `exists (
          select from pg_catalog.pg_opclass as oc
          join pg_catalog.pg_am as am on am.oid = oc.opcmethod and am.amname = 'btree'
          where oc.opcdefault and (
            oc.opcintype = b.base
            or (bt.typtype = 'e' and oc.opcintype = 'pg_catalog.anyenum'::pg_catalog.regtype)
            or (bt.typtype = 'r' and oc.opcintype = 'pg_catalog.anyrange'::pg_catalog.regtype)
            or exists (select from pg_catalog.pg_cast as pc
              where pc.castsource = b.base and pc.casttarget = oc.opcintype and pc.castmethod = 'b'
                and pc.castcontext = 'i')))`;
