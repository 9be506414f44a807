/**
 * Generic plans of statements, with and without an index that does not exist (hypopg). A run plans nothing: planning runs
 * code of users. The step stores which plans it wants, a worker makes them as the roles that ran the statements, and a later
 * run reads them.
 */
import type { UnexaminedReason } from '../core/coverage.ts';
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import type { JsonObject } from '../steps/step.ts';

export interface GenericPlan extends JsonObject {
  cost: number;
  /** Tables it reads from end to end. */
  sequential: { schema: string; table: string }[];
  /** Names of the indexes it uses. */
  indexes: string[];
  /** The name of the hypothetical index; null where there is none. */
  index: string | null;
}

export type Planned =
  | { plan: GenericPlan }
  /** `reason`: how it counts as not examined; `waiting` for a worker, null where there is nothing to plan. */
  | { because: string; reason: UnexaminedReason | 'waiting' | null };

/** The schema, table and columns of an index to try. */
export interface TriedIndex extends JsonObject {
  schema: string;
  table: string;
  columns: string[];
}

export interface WantedPlan extends JsonObject {
  text_id: number;
  user_oid: number;
  /** {} for the plan as it is. */
  hypothetical: TriedIndex | Record<string, never>;
}

interface Answer extends WantedPlan {
  plan: GenericPlan | null;
  problem: string | null;
  reason: UnexaminedReason | null;
}

/** Those that no run has wanted within a day go, and in any case all but this many. */
const mostRequests = 500;

const requestsQuery = `
  with wanted as materialized (
    select distinct w.text_id, w.user_oid::oid as user_oid, w.hypothetical
    from pg_catalog.jsonb_to_recordset($1::jsonb) as w (text_id int, user_oid int8, hypothetical jsonb)
    where pg_catalog.pg_column_size(w.hypothetical) <= 1900
  ), asked as (
    insert into maint.plan_request as p (text_id, user_oid, hypothetical, requested_at)
    select w.text_id, w.user_oid, w.hypothetical, $2::timestamptz from wanted as w
    on conflict (text_id, user_oid, hypothetical) do update set requested_at = excluded.requested_at
    returning p.text_id, p.user_oid, p.hypothetical, p.plan, p.problem, p.reason
  ), forgotten as (
    delete from maint.plan_request as p using (
      select o.text_id, o.user_oid, o.hypothetical, o.requested_at,
        pg_catalog.row_number() over (order by o.requested_at desc, o.text_id, o.user_oid) as place
      from maint.plan_request as o) as r
    where p.text_id = r.text_id and p.user_oid = r.user_oid and p.hypothetical = r.hypothetical
      and (r.place > $3 or r.requested_at < $2::timestamptz - interval '1 day')
      and not exists (
        select from wanted as w
        where w.text_id = p.text_id and w.user_oid = p.user_oid and w.hypothetical = p.hypothetical)
  )
  select pg_catalog.jsonb_build_object('text_id', a.text_id, 'user_oid', a.user_oid::int8,
      'hypothetical', a.hypothetical, 'plan', a.plan, 'problem', a.problem, 'reason', a.reason) as row
  from asked as a
  order by 1`;

const keyOf = (textId: number, userOid: number, hypothetical: TriedIndex | null): string =>
  JSON.stringify([
    textId,
    userOid,
    hypothetical && [hypothetical.schema, hypothetical.table, ...hypothetical.columns],
  ]);

/** Asks a worker for the plans; what comes back tells of each what a worker has answered so far. */
export function* wantPlans(
  wanted: readonly WantedPlan[],
  now: string,
): Program<(textId: number, userOid: number, index: TriedIndex | null) => Planned> {
  const answers = wanted.length === 0 ? [] : yield* query<Answer>(requestsQuery, [wanted, now, mostRequests]);
  const known = new Map(
    answers.map(({ text_id, user_oid, hypothetical, plan, problem, reason }) => [
      keyOf(text_id, user_oid, 'table' in hypothetical ? (hypothetical as TriedIndex) : null),
      { plan, problem, reason },
    ]),
  );
  return (textId, userOid, index) => {
    const answer = known.get(keyOf(textId, userOid, index));
    if (answer?.plan) return { plan: answer.plan };
    return answer?.problem == null
      ? { because: 'no worker has planned it yet', reason: 'waiting' }
      : { because: answer.problem, reason: answer.reason };
  };
}

const hypopgQuery = `
  select pg_catalog.to_jsonb(pg_catalog.count(*) > 0) as row
  from pg_catalog.pg_extension as e where e.extname = 'hypopg'
  order by 1`;

export function* hypopgIsInstalled(): Program<boolean> {
  const [installed] = yield* query<boolean>(hypopgQuery);
  return installed ?? false;
}
