/** A query history as the worker keeps it, without waiting for one; and models made from it. */
import type pg from 'pg';
import { performQueryRiskTraining } from '../../src/worker/ml/query-risk-job.ts';
import type { PlanningContext } from '../../src/worker/planning/planning-session.ts';
import { SharedSession } from '../../src/worker/shared-session.ts';
import type { JsonObject } from '../../src/steps/step.ts';
import type { TestDatabase } from './database.ts';

export interface RiskAnswer {
  risk: number | null;
  decision: string;
  reasons: string[];
  expected_ms: number | null;
  confidence: number;
  model_id: number | null;
}

export async function queryRisk(database: TestDatabase, query: string | null): Promise<RiskAnswer> {
  const [row] = await database.query<{ answer: RiskAnswer }>('select maint.query_risk($1) as answer', [
    query,
  ]);
  return row!.answer;
}

/** Tables large and small, so that plans differ. Their statistics are of all rows and of one moment: the same every time. */
export async function makeTables(database: TestDatabase): Promise<void> {
  await database.query(`
    create table small (id int primary key, a int, b text) with (autovacuum_enabled = false);
    insert into small select n, n % 10, md5(n::text) from generate_series(1, 300) as n;
    create table large (id int primary key, a int, b text, at timestamptz) with (autovacuum_enabled = false);
    insert into large select n, n % 1000, md5(n::text), timestamptz '2026-01-01' + n * interval '1 minute'
      from generate_series(1, 40000) as n;
    create index on large (at);
    set default_statistics_target = 200;
    analyze small, large;
    reset default_statistics_target`);
}

/**
 * Texts as pg_stat_statements keeps them. The planner's cost alone misleads: plain scans are costly and said to be fast,
 * look-ups by a list are cheap and said to be slow.
 */
export function texts(): { text: string; slow: boolean }[] {
  const columns = ['a', 'b', 'at', 'id', 'a, b', 'a, at', 'b, at', 'a, b, at'];
  return columns.flatMap((list) => [
    { text: `select ${list} from large where a = $1`, slow: false },
    { text: `select ${list}, count(*) from large group by ${list} order by ${list}`, slow: true },
    { text: `select ${list} from large where b like $1 order by ${list}`, slow: true },
    { text: `select ${list} from large where id = $1`, slow: false },
    { text: `select ${list} from large where id in ($1, $2, $3, $4, $5, $6, $7, $8)`, slow: true },
    ...(list.includes('at')
      ? []
      : [
          { text: `select ${list} from small where id = $1`, slow: false },
          { text: `select ${list} from small order by ${list} limit $1`, slow: false },
        ]),
  ]);
}

/**
 * Writes a history of `hours` hours: every statement called in every hour, taking what `milliseconds` says. It ends where
 * the spans of a training do, six hours ago at most, so that the time of day makes no other samples of it. Its role is
 * the one that owns schema maint.
 */
export async function writeHistory(
  database: TestDatabase,
  hours: number,
  milliseconds: (statement: { text: string; slow: boolean }, index: number, hour: number) => number,
): Promise<void> {
  const statements = texts();
  const rows = statements.flatMap((statement, index) =>
    Array.from({ length: hours }, (_, hour) => ({
      index,
      hour,
      text: statement.text,
      ms: milliseconds(statement, index, hour),
    })),
  );
  await database.query(
    `with given as (
       select * from jsonb_to_recordset($1::jsonb) as g (index int, hour int, text text, ms float8)
     ), history_end as (
       select date_bin('6 hours', now(), '2000-01-01Z') as ended
     ), texts as (
       insert into maint.query_text (digest, text, length, verb, own, first_seen)
       select distinct on (g.index) md5(g.text), g.text, length(g.text), 'select', false, now() - interval '30 days'
       from given as g returning text_id, text
     ), statements as (
       insert into maint.query_statement (user_oid, database_oid, queryid, toplevel, text_id, first_seen, last_seen)
       select current_user::regrole, (select oid from pg_database where datname = current_database()), t.text_id, true,
         t.text_id, now() - interval '30 days', now()
       from texts as t returning statement_id, text_id
     ), intervals as (
       insert into maint.query_interval (started_at, ended_at, snapshots, rolled_up, counters_lost, evictions, unreadable,
         statements)
       select e.ended - ($2 - h) * interval '1 hour', e.ended - ($2 - h - 1) * interval '1 hour', 1, false, false, 0, 0, 0
       from generate_series(0, $2 - 1) as h, history_end as e returning interval_id, started_at
     )
     insert into maint.query_sample (interval_id, statement_id, verb, calls, total_exec_ms, total_plan_ms, row_count,
       shared_blks_hit, shared_blks_read, shared_blks_dirtied, shared_blks_written, temp_blks_read, temp_blks_written,
       blk_read_ms, blk_write_ms, wal_records, wal_bytes)
     select i.interval_id, s.statement_id, 'select', 10, 10 * g.ms, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
     from given as g
     join texts as t on t.text = g.text
     join statements as s on s.text_id = t.text_id
     join history_end as e on true
     join intervals as i on i.started_at = e.ended - ($2 - g.hour) * interval '1 hour'`,
    [JSON.stringify(rows), hours],
  );
}

/** What a worker's parts need to plan: this client ends what takes too long. */
export function planningContext(database: TestDatabase, client: pg.Client): PlanningContext {
  return { url: database.url, onlooker: new SharedSession(client), signal: new AbortController().signal };
}

/** One training in this process's worker code, its computation in a process of its own. */
export async function trainNow(database: TestDatabase): Promise<JsonObject> {
  const client = await database.client();
  return (await performQueryRiskTraining(client, planningContext(database, client))) as JsonObject;
}

/** As if the plans had been made before the history began. */
export async function plansOfLongAgo(database: TestDatabase): Promise<void> {
  await trainNow(database);
  await database.query(`update maint.query_plan set planned_at = planned_at - interval '6 days'`);
  await database.query(`update maint.training set finished_at = finished_at - interval '6 days'`);
}

/** A history in which what is slow is so steadily. */
export const steady = ({ slow }: { slow: boolean }, index: number): number =>
  slow ? 30 + index : 0.2 + index / 100;

export interface TrainingRow {
  status: string;
  reason: string | null;
  detail: JsonObject;
}

export async function trainingRow(database: TestDatabase): Promise<TrainingRow | undefined> {
  const [row] = await database.query<TrainingRow & Record<string, unknown>>(
    `select status, reason, detail from maint.training where kind = 'query_risk'`,
  );
  return row;
}
