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

/** A query: names that more than one relation bears, in whatever schemas. Text alone does not tell these apart. */
export const ambiguousNames = `
    select c.relname
    from pg_catalog.pg_class as c
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
    group by c.relname having pg_catalog.count(*) > 1`;
