/**
 * Rules by which scripts and dashboards usually find needless, unused and missing indexes, in our own words, tried on the
 * corpus beside pg-maint. The corpus was written here, around the cases in which rules differ: it says which mistakes a rule
 * makes, not how often a database of yours has them.
 */
import type { TestDatabase } from '../support/database.ts';
import { run } from '../support/maintenance.ts';
import { loadCorpus, makeFixture } from './fixtures.ts';
import type { Fixture, Scope } from './fixtures.ts';
import { identityOf, shownIdentity } from './labels.ts';
import type { KindScore } from './score.ts';

export interface Rule {
  /** What it is about: a kind of finding of the corpus. */
  kind: string;
  title: string;
  /** Gives the columns schema, table (null for an index) and name. */
  query: string;
}

const userSchemas = `n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'maint', 'maint_boss')`;

const indexes = `
  select coalesce(substring(n.nspname from '^pg_temp'), n.nspname) as schema, c.relname as name, i.*, c.relam,
    pg_get_expr(i.indexprs, i.indrelid) as expressions, pg_get_expr(i.indpred, i.indrelid) as predicate
  from pg_index as i
  join pg_class as c on c.oid = i.indexrelid
  join pg_namespace as n on n.oid = c.relnamespace
  where ${userSchemas}`;

const foreignKeys = `
  select coalesce(substring(n.nspname from '^pg_temp'), n.nspname) as schema, c.relname as table, k.conname as name
  from pg_constraint as k
  join pg_class as c on c.oid = k.conrelid
  join pg_namespace as n on n.oid = c.relnamespace
  where k.contype = 'f' and ${userSchemas}`;

const ruleOfPgMaint = (kind: string): Rule => ({
  kind,
  title: 'pg-maint',
  query: `select coalesce(substring(f.schema_name from '^pg_temp'), f.schema_name) as schema,
      case when f.kind = 'fk.unindexed' then f.table_name end as table, coalesce(f.object_name, f.table_name) as name
    from maint.findings as f where f.kind = '${kind}' and f.resolved_at is null`,
});

/** Left out for unused indexes: other fixtures say nothing of what was never scanned in the moments that they live. */
const fixturesOf: Record<string, (fixture: Fixture) => boolean> = {
  'index.unused': ({ name }) => name === 'unused',
};

export const rules: readonly Rule[] = [
  ruleOfPgMaint('index.redundant'),
  {
    kind: 'index.redundant',
    title: 'same columns, classes, expressions and predicate; the oldest stays',
    query: `with indexes as (${indexes})
      select i.schema, null as table, i.name from indexes as i
      where exists (
        select from indexes as o
        where o.indrelid = i.indrelid and o.indexrelid < i.indexrelid and o.indkey::text = i.indkey::text
          and o.indclass::text = i.indclass::text and o.expressions is not distinct from i.expressions
          and o.predicate is not distinct from i.predicate)`,
  },
  {
    kind: 'index.redundant',
    title: 'column numbers as text are how those of another one begin',
    query: `with indexes as (${indexes})
      select i.schema, null as table, i.name from indexes as i
      where exists (
        select from indexes as o
        where o.indrelid = i.indrelid and o.indexrelid <> i.indexrelid and o.indkey::text like i.indkey::text || '%'
          and (o.indkey::text <> i.indkey::text or o.indexrelid < i.indexrelid))`,
  },
  {
    kind: 'index.redundant',
    title: 'not unique, plain columns, and the leading ones of another of its method',
    query: `with indexes as (
        select *, string_to_array(indkey::text, ' ') as keys from (${indexes}) as all_indexes)
      select i.schema, null as table, i.name from indexes as i
      where not i.indisunique and i.indisvalid and i.expressions is null and i.predicate is null and exists (
        select from indexes as o
        where o.indrelid = i.indrelid and o.indexrelid <> i.indexrelid and o.relam = i.relam and o.indisvalid
          and o.expressions is null and o.predicate is null and o.keys[:cardinality(i.keys)] = i.keys
          and (o.keys <> i.keys or o.indisunique or o.indexrelid < i.indexrelid))`,
  },
  ruleOfPgMaint('index.unused'),
  {
    kind: 'index.unused',
    title: 'idx_scan is 0 and it is not unique',
    query: `with indexes as (${indexes})
      select i.schema, null as table, i.name from indexes as i
      join pg_stat_user_indexes as s on s.indexrelid = i.indexrelid
      where s.idx_scan = 0 and not i.indisunique`,
  },
  {
    kind: 'index.unused',
    title: 'fewer than 50 scans, more than 5 pages, and it is not unique',
    query: `with indexes as (${indexes})
      select i.schema, null as table, i.name from indexes as i
      join pg_stat_user_indexes as s on s.indexrelid = i.indexrelid
      where s.idx_scan < 50 and not i.indisunique and pg_relation_size(i.indexrelid) > 5 * 8192`,
  },
  ruleOfPgMaint('fk.unindexed'),
  {
    kind: 'fk.unindexed',
    title: 'no index begins with the first column of the key',
    query: `${foreignKeys}
        and not exists (select from pg_index as i where i.indrelid = k.conrelid and i.indkey[0] = k.conkey[1])`,
  },
  {
    kind: 'fk.unindexed',
    title: 'no index begins with the columns of the key, in its order',
    query: `${foreignKeys}
        and not exists (
          select from pg_index as i
          where i.indrelid = k.conrelid
            and (string_to_array(i.indkey::text, ' '))[:cardinality(k.conkey)] = k.conkey::text[])`,
  },
];

interface Named extends Record<string, unknown> {
  schema: string;
  table: string | null;
  name: string;
}

async function judge(rule: Rule, score: RuleScore, fixture: Fixture, database: TestDatabase): Promise<void> {
  const rows = await database.query<Named>(rule.query);
  const found = new Set(
    rows.map(({ schema, table, name }) =>
      identityOf(table === null ? [schema, name] : [schema, table, name]),
    ),
  );
  const must = new Set(
    fixture.labels
      .filter(({ type, kind }) => type === 'must' && kind === rule.kind)
      .map(({ object }) => object),
  );
  for (const object of found) {
    if (must.has(object)) score.truePositives += 1;
    else {
      score.falsePositives += 1;
      score.wrong.push(`${fixture.name}: ${shownIdentity(object)}`);
    }
  }
  score.falseNegatives += [...must].filter((object) => !found.has(object)).length;
  score.labelled += must.size;
}

export interface RuleScore extends KindScore {
  rule: Rule;
  /** What it takes for one and is none. */
  wrong: string[];
}

/** Every rule on every fixture that tells of its kind, all on the same databases. */
export async function scoreRules(
  scope: Scope,
  wanted: (name: string) => boolean = () => true,
): Promise<RuleScore[]> {
  const scores = rules.map((rule): RuleScore => ({
    rule,
    kind: rule.kind,
    labelled: 0,
    truePositives: 0,
    falsePositives: 0,
    falseNegatives: 0,
    wrong: [],
  }));
  for (const fixture of (await loadCorpus()).filter(({ name }) => wanted(name))) {
    const database = await makeFixture(scope, fixture);
    if (database === null) continue;
    await run(database);
    for (const score of scores) {
      if (fixturesOf[score.kind]?.(fixture) === false) continue;
      await judge(score.rule, score, fixture, database);
    }
  }
  return scores;
}
