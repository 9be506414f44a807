/** The generic plan of a statement, with and without an index that does not exist (hypopg). */
import { attemptAndUndo, query, queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import type { Json, JsonObject } from '../steps/step.ts';
import type { ParsedStatement } from './parsed-statement.ts';
import type { QueryTable } from './query-tables.ts';

export interface GenericPlan {
  cost: number;
  /** Tables it reads from end to end. */
  sequential: { schema: string; table: string }[];
  /** Names of the indexes it uses. */
  indexes: string[];
}

export type Planned = { plan: GenericPlan; index: string | null } | { because: string };

interface PlanRow {
  plan?: JsonObject;
  index?: string | null;
  error?: string;
  message?: string;
}

function nodesOf(node: JsonObject): JsonObject[] {
  const below = (node['Plans'] ?? []) as JsonObject[];
  return [node, ...below.flatMap(nodesOf)];
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

function summary(plan: JsonObject, tables: readonly QueryTable[]): GenericPlan {
  const nodes = nodesOf(plan);
  // Without VERBOSE a plan names no schema; two tables of one name in it are not told apart.
  const sequential = nodes
    .filter((node) => node['Node Type'] === 'Seq Scan')
    .flatMap((node) => {
      const meant = tables.filter(({ table }) => table === textOf(node['Relation Name']));
      return meant.length === 1 ? meant.map(({ schema, table }) => ({ schema, table })) : [];
    });
  return {
    cost: Number(plan['Total Cost']),
    sequential,
    indexes: nodes.flatMap((node) => ('Index Name' in node ? [textOf(node['Index Name'])] : [])),
  };
}

const safetyQuery = `
  select pg_catalog.to_jsonb(maint.unsafe_to_plan($1::jsonb, array(
      select u.oid::oid from pg_catalog.jsonb_array_elements_text($2::jsonb) as u (oid)))) as row
  order by 1`;

const planQuery = `
  select maint.plan_statement($1, array(
      select u.name from pg_catalog.jsonb_array_elements_text($2::jsonb) as u (name)), $3) as row
  order by 1`;

/** Why its plan must not be asked for; null where it may. */
export function* unsafeToPlan(
  statement: ParsedStatement,
  tables: readonly QueryTable[],
): Program<string | null> {
  const [because] = yield* query<string | null>(safetyQuery, [
    statement,
    tables.map(({ oid }) => String(oid)),
  ]);
  return because ?? null;
}

/** Only for what unsafeToPlan lets pass. `index` is a CREATE INDEX that hypopg pretends to run. Takes no lasting lock. */
export function* planOf(text: string, tables: readonly QueryTable[], index: string | null): Program<Planned> {
  const schemas = [...new Set(tables.map(({ schema }) => schema))];
  const outcome = yield* attemptAndUndo(() => queryOne<PlanRow>(planQuery, [text, schemas, index]));
  if (!outcome.ok) return { because: outcome.failure.message };
  const { plan, index: name, message } = outcome.value;
  if (!plan) return { because: message ?? 'the server gave no plan' };
  return { plan: summary(plan, tables), index: name ?? null };
}

const hypopgQuery = `
  select pg_catalog.to_jsonb(pg_catalog.count(*) > 0) as row
  from pg_catalog.pg_extension as e where e.extname = 'hypopg'
  order by 1`;

export function* hypopgIsInstalled(): Program<boolean> {
  const [installed] = yield* query<boolean>(hypopgQuery);
  return installed ?? false;
}
