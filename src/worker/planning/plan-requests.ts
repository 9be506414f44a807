/** Makes the plans that runs have asked for: maint.plan_request. */
import type pg from 'pg';
import type { GenericPlan } from '../../catalog/statement-plan.ts';
import { asNull, readQuery } from '../../catalog/query-risk/query-text.ts';
import type { UnexaminedReason } from '../../core/coverage.ts';
import { mightBeWrittenOtherwise, sqlstate } from '../../core/sqlstate.ts';
import type { JsonObject } from '../../steps/step.ts';
import { queryRow } from '../connection.ts';
import { planAsRoles } from './plan-as-roles.ts';
import type { NotPlanned, StatementOfRole } from './plan-as-roles.ts';
import type { HypotheticalIndex, PlanAnswer, PlanningContext, PlanningSession } from './planning-session.ts';

interface Request extends StatementOfRole {
  /** Its whole text is known. */
  complete: boolean;
  hypothetical: HypotheticalIndex | Record<string, never>;
}

/** Why there is no plan, in words and as a step counts it; reason is null where there is nothing to plan. */
interface Problem {
  problem: string | null;
  reason: UnexaminedReason | null;
}

const reasons = {
  not_permitted: 'not_permitted',
  // Its session had to be ended, or the time for its role was used up.
  not_planned: 'timed_out',
  role_dropped: null,
} as const satisfies Record<NotPlanned['problem'], UnexaminedReason | null>;

/** Of an answer without a plan: no SQLSTATE where it was refused before it was planned. */
function reasonOf(state: string | null): UnexaminedReason | null {
  if (state === null) return 'not_safe';
  if (state === sqlstate.queryCanceled) return 'timed_out';
  if (state === sqlstate.lockNotAvailable) return 'locked';
  // What it names is gone, or is another thing now: nobody can run it any more.
  return null;
}

/** Not planned yet, or asked for again an hour after it was. */
const waiting = `(r.planned_at is null or r.planned_at < r.requested_at - interval '1 hour')`;

export async function plansAreWanted(client: pg.ClientBase): Promise<boolean> {
  const { wanted } = await queryRow<{ wanted: boolean }>(
    client,
    `select exists (select from maint.plan_request as r where ${waiting}) as wanted`,
  );
  return wanted;
}

/** Plans all that waits; an answer is stored as soon as it is there. */
export async function planRequests(client: pg.ClientBase, context: PlanningContext): Promise<void> {
  const { rows: requests } = await client.query<Request>(
    `select r.text_id, r.user_oid::int8::float8 as user_oid, t.text, t.length = pg_catalog.length(t.text) as complete,
       r.hypothetical
     from maint.plan_request as r join maint.query_text as t on t.text_id = r.text_id
     where ${waiting}
     order by r.user_oid, r.text_id, r.hypothetical`,
  );
  const store = async (
    request: Request,
    plan: GenericPlan | null,
    { problem, reason }: Problem = { problem: null, reason: null },
  ): Promise<void> => {
    await client.query(
      `update maint.plan_request as r set planned_at = pg_catalog.clock_timestamp(), plan = $4, problem = $5, reason = $6
       where r.text_id = $1 and r.user_oid = $2::int8::oid and r.hypothetical = $3::jsonb`,
      [
        request.text_id,
        request.user_oid,
        JSON.stringify(request.hypothetical),
        plan && JSON.stringify(plan),
        problem,
        reason,
      ],
    );
  };
  await planAsRoles(
    client,
    context,
    requests,
    async (session, request) => {
      const planned = await planRequest(session, request);
      if ('problem' in planned) await store(request, null, planned);
      else await store(request, planned.plan);
    },
    (request, { problem, reason }) => store(request, null, { problem: reason, reason: reasons[problem] }),
  );
}

async function planRequest(
  session: PlanningSession,
  { text, complete, hypothetical }: Request,
): Promise<{ plan: GenericPlan } | Problem> {
  if (!complete) return { problem: 'its text is too long to be kept', reason: 'not_supported' };
  const read = readQuery(text);
  if ('problem' in read) return { problem: read.problem.replaceAll('_', ' '), reason: 'not_supported' };
  const index = await session.tryIndex('table' in hypothetical ? (hypothetical as HypotheticalIndex) : null);
  const ask = (statement: string, parameters: number): Promise<PlanAnswer> =>
    session.ask(statement, parameters, parameters > 0 && statement.includes(';') ? asNull(statement) : '');
  let answer = await ask(read.general, read.generalParameters);
  if (
    answer.plan === null &&
    mightBeWrittenOtherwise(answer.sqlstate ?? '') &&
    read.generalParameters > read.parameters
  )
    answer = await ask(read.statement, read.parameters);
  if (answer.plan === null)
    return { problem: answer.message ?? 'the server gave no plan', reason: reasonOf(answer.sqlstate) };
  const [explained] = JSON.parse(answer.plan) as { Plan: JsonObject }[];
  return explained === undefined
    ? { problem: 'the server gave no plan', reason: 'failed' }
    : { plan: summary(explained.Plan, index) };
}

/** Of a plan over thousands of partitions, which are not told apart anyway. */
const mostNames = 500;

function summary(root: JsonObject, index: string | null): GenericPlan {
  const sequential = new Map<string, { schema: string; table: string }>();
  const indexes = new Set<string>();
  // No recursion: the depth of a plan is what a role's statement makes it.
  const left = [root];
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    const { Schema: schema, 'Relation Name': table, 'Index Name': used, Plans: below } = node;
    if (node['Node Type'] === 'Seq Scan' && typeof schema === 'string' && typeof table === 'string')
      if (sequential.size < mostNames) sequential.set(JSON.stringify([schema, table]), { schema, table });
    if (typeof used === 'string' && indexes.size < mostNames) indexes.add(used);
    if (Array.isArray(below)) left.push(...(below as JsonObject[]));
  }
  return {
    cost: Number(root['Total Cost']),
    sequential: [...sequential.values()],
    indexes: [...indexes],
    index,
  };
}
