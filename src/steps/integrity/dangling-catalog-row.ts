/** Catalog rows that point to a row that is gone. PostgreSQL never leaves one: the catalog is damaged. */
import { query } from '../../core/program.ts';
import type { IntegrityCheck } from './check.ts';
import { integrityKind, wholeReport } from './check.ts';

interface Row {
  catalog: string;
  object: string;
  missing: string;
}

/** A reference from one catalog to another. 0 means none. */
interface Reference {
  catalog: string;
  /** An expression over r that names the row. */
  object: string;
  column: string;
  target: string;
}

const references: readonly Reference[] = [
  { catalog: 'pg_index', object: 'r.indexrelid', column: 'indexrelid', target: 'pg_class' },
  { catalog: 'pg_index', object: 'r.indexrelid', column: 'indrelid', target: 'pg_class' },
  {
    catalog: 'pg_attribute',
    object: "r.attrelid || ' ' || r.attnum",
    column: 'attrelid',
    target: 'pg_class',
  },
  { catalog: 'pg_attrdef', object: 'r.oid', column: 'adrelid', target: 'pg_class' },
  { catalog: 'pg_class', object: 'r.oid', column: 'relnamespace', target: 'pg_namespace' },
  { catalog: 'pg_class', object: 'r.oid', column: 'reltype', target: 'pg_type' },
  { catalog: 'pg_class', object: 'r.oid', column: 'reltoastrelid', target: 'pg_class' },
  { catalog: 'pg_constraint', object: 'r.oid', column: 'conrelid', target: 'pg_class' },
  { catalog: 'pg_constraint', object: 'r.oid', column: 'confrelid', target: 'pg_class' },
  { catalog: 'pg_constraint', object: 'r.oid', column: 'conindid', target: 'pg_class' },
  {
    catalog: 'pg_inherits',
    object: "r.inhrelid || ' ' || r.inhparent",
    column: 'inhrelid',
    target: 'pg_class',
  },
  {
    catalog: 'pg_inherits',
    object: "r.inhrelid || ' ' || r.inhparent",
    column: 'inhparent',
    target: 'pg_class',
  },
  { catalog: 'pg_trigger', object: 'r.oid', column: 'tgrelid', target: 'pg_class' },
];

/** Kinds of objects whose pg_depend rows are followed. */
const dependencyTargets: readonly string[] = [
  'pg_class',
  'pg_constraint',
  'pg_type',
  'pg_proc',
  'pg_namespace',
];

function referenceQuery({ catalog, object, column, target }: Reference): string {
  return `
  select '${catalog}' as catalog, (${object})::text as object, '${target} ' || r.${column} as missing
  from pg_catalog.${catalog} as r
  where r.${column} <> 0 and not exists (select from pg_catalog.${target} as t where t.oid = r.${column})`;
}

function dependencyQuery(target: string): string {
  return ['', 'ref']
    .map(
      (side) => `
  select 'pg_depend', r.classid || ' ' || r.objid || ' ' || r.refobjid, '${target} ' || r.${side}objid
  from pg_catalog.pg_depend as r
  where r.${side}classid = 'pg_catalog.${target}'::regclass and r.${side}objid <> 0
    and not exists (select from pg_catalog.${target} as t where t.oid = r.${side}objid)`,
    )
    .join('\n  union all');
}

const text = `
  select pg_catalog.jsonb_build_object('catalog', d.catalog, 'object', d.object, 'missing', d.missing) as row
  from (${[...references.map(referenceQuery), ...dependencyTargets.map(dependencyQuery)].join('\n  union all')}
  ) as d
  order by d.catalog, d.object, d.missing`;

const name = 'dangling_catalog_row';

export const danglingCatalogRow: IntegrityCheck = {
  name,
  title: 'Catalog rows that point to nothing',
  *look() {
    const rows = yield* query<Row>(text);
    const findings = rows.map(({ catalog, object, missing }) => ({
      kind: integrityKind(name),
      severity: 'critical' as const,
      schema: null,
      table: null,
      object: null,
      discriminator: `${catalog} ${object} ${missing}`,
      summary: `The catalog is damaged: row (${object}) of ${catalog} refers to ${missing}, which does not exist.`,
      detail: { catalog, object, missing },
      remedy: null,
    }));
    // What is counted is kinds of references; each was followed for every row.
    return wholeReport(references.length + dependencyTargets.length * 2, findings);
  },
};
