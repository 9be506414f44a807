/**
 * Plans statements of the query history as the roles that ran them, for the training of the query-risk model, and keeps a
 * bounded number of the plans.
 */
import type pg from 'pg';
import { explainQuery } from '../../catalog/query-risk/explain.ts';
import { featureVersion } from '../../catalog/query-risk/feature-names.ts';
import { runAsync } from '../../core/drivers.ts';
import type { AsyncHost } from '../../core/drivers.ts';
import { connectionHost } from '../host.ts';
import { planAsRoles } from '../planning/plan-as-roles.ts';
import type { StatementOfRole } from '../planning/plan-as-roles.ts';
import type { PlanningContext, PlanningSession } from '../planning/planning-session.ts';

export interface PlannedStatement {
  text_id: number;
  user_oid: number;
  features: number[] | null;
  cost: number | null;
  problem: string | null;
  sqlstate: string | null;
  /** The problem in words. */
  reason: string | null;
}

/** What was last called by at least one statement of theirs, and pg-maint's own left out: the most called ones. */
export async function statementsToPlan(client: pg.ClientBase, most: number): Promise<StatementOfRole[]> {
  const { rows } = await client.query<StatementOfRole>(
    `select t.text_id, s.user_oid::int8::float8 as user_oid, t.text
     from maint.query_statement as s
     join maint.query_text as t on t.text_id = s.text_id
     join maint.query_sample as q on q.statement_id = s.statement_id
     where s.toplevel and not t.own and t.length = pg_catalog.length(t.text)
       and t.verb in ('select', 'insert', 'update', 'delete', 'merge', 'with')
       and s.database_oid = (
         select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
     group by t.text_id, s.user_oid, t.text
     order by pg_catalog.sum(q.calls) desc, t.text_id, s.user_oid
     limit $1`,
    [most],
  );
  return rows;
}

/** Plans in the session of the role; all else is asked as the owner of schema maint, in whose session no code of a role runs. */
function hostOf(client: pg.ClientBase, session: PlanningSession): AsyncHost {
  const host = connectionHost(client);
  return {
    ...host,
    async query(text, parameters) {
      if (!text.includes('pg_temp.explain_generic')) return await host.query(text, parameters);
      const [statement, count, asNull] = parameters as [string, number, string];
      return [await session.ask(statement, count, asNull)];
    },
  };
}

/** The plans of the statements, each as its role; what could not be planned is there with its problem. */
export async function planStatements(
  client: pg.ClientBase,
  context: PlanningContext,
  statements: readonly StatementOfRole[],
): Promise<PlannedStatement[]> {
  const planned: PlannedStatement[] = [];
  const nothing = { features: null, cost: null, sqlstate: null, reason: null };
  await planAsRoles(
    client,
    context,
    statements,
    async (session, { text_id, user_oid, text }) => {
      const known = { text_id, user_oid };
      const explained = await runAsync(
        explainQuery(text, 'pg_temp.explain_generic'),
        hostOf(client, session),
      );
      if ('features' in explained) {
        const { features, cost } = explained;
        planned.push({ ...nothing, ...known, features, cost, problem: null });
      } else if ('sqlstate' in explained)
        planned.push({
          ...nothing,
          ...known,
          problem: explained.problem,
          sqlstate: explained.sqlstate === '' ? null : explained.sqlstate,
          reason: explained.message,
        });
      else planned.push({ ...nothing, ...known, problem: explained.problem });
    },
    ({ text_id, user_oid }, why) => {
      planned.push({ ...nothing, text_id, user_oid, ...why });
    },
  );
  return planned;
}

/** Measured spans are 6 hours long: a plan that is younger tells nothing new of them. */
const leastHoursBetweenPlans = 6;
/** Kept of one statement and role, each of some 500 bytes. Spread over the window, so that all of it is covered. */
const mostPlansKept = 32;

/**
 * Keeps the plans as those of now. Of a statement and role that has one already that is young for `windowDays` days, no
 * other is kept; of what could not be planned only the last answer.
 */
export async function storePlans(
  client: pg.ClientBase,
  planned: readonly PlannedStatement[],
  windowDays: number,
): Promise<void> {
  await client.query(
    `with given as materialized (
       select p.* from pg_catalog.jsonb_to_recordset($1::jsonb) as p (text_id int, user_oid int8, features real[],
         cost float8, problem text, sqlstate text, reason text)
       -- A text may have been forgotten meanwhile.
       where exists (select from maint.query_text as t where t.text_id = p.text_id)
     ), forgotten as (
       delete from maint.query_plan as q using given as g
       where q.text_id = g.text_id and q.user_oid = g.user_oid::oid and q.problem is not null
     )
     insert into maint.query_plan (text_id, user_oid, planned_at, feature_version, features, cost, problem, sqlstate, reason)
     select g.text_id, g.user_oid::oid, pg_catalog.clock_timestamp(), $2, g.features, g.cost, g.problem, g.sqlstate,
       pg_catalog.left(g.reason, 500)
     from given as g
     where g.problem is not null or not exists (
       select from maint.query_plan as q
       where q.text_id = g.text_id and q.user_oid = g.user_oid::oid and q.problem is null and q.feature_version = $2
         and q.planned_at > pg_catalog.now() - greatest($3::float8, $4::float8 * 24 / $5) * interval '1 hour')`,
    [JSON.stringify(planned), featureVersion, leastHoursBetweenPlans, windowDays, mostPlansKept],
  );
  await client.query(
    `delete from maint.query_plan as p using (
       select q.text_id, q.user_oid, q.planned_at,
         pg_catalog.row_number() over (partition by q.text_id, q.user_oid order by q.planned_at desc) as place
       from maint.query_plan as q) as r
     where p.text_id = r.text_id and p.user_oid = r.user_oid and p.planned_at = r.planned_at
       and (r.place > $2 or p.planned_at < pg_catalog.now() - ($1 + 1) * interval '1 day')`,
    [windowDays, mostPlansKept],
  );
}
