/** Queue maint_run: a run that is due, or one that was queued because the server has no JavaScript language. */
import type pg from 'pg';
import { FailureError } from '../../core/program.ts';
import { mayBeRecorded } from '../../core/sqlstate.ts';
import type { JsonObject } from '../../steps/step.ts';
import { queryRow } from '../connection.ts';
import { runOverConnection } from '../host.ts';
import { defineJob } from './job.ts';

interface RunJob {
  /** The row of a run that somebody asked for; absent for a scheduled one. */
  run_id?: number;
  force: boolean;
  only: number[] | null;
  dry_run: boolean;
}

interface Installation {
  /** The checks can run in the server. Not so with engine worker, and where the engine's language was dropped since. */
  in_database: boolean;
  version: string;
}

/** What is kept with the job; the dictionary itself is maint.result's. */
function summary(result: JsonObject): object {
  const { status, reason, run_id } = result;
  return { status, ...(reason !== undefined && { reason }), ...(run_id !== undefined && { run_id }) };
}

async function runInDatabase(client: pg.Client, job: RunJob): Promise<JsonObject> {
  const { result } = await queryRow<{ result: JsonObject }>(
    client,
    'select maint.run($1, $2::text[], $3) as result',
    [job.force, job.only?.map(String) ?? null, job.dry_run],
  );
  return result;
}

async function runHere(client: pg.Client, job: RunJob): Promise<JsonObject> {
  const only = job.only?.map(String);
  return await runOverConnection(client, {
    force: job.force,
    dryRun: job.dry_run,
    ...(only && { only }),
    ...(job.run_id !== undefined && { runId: job.run_id }),
  });
}

/** One that somebody asked for fails visibly, and tells how far it is. */
async function runQueued(client: pg.Client, job: RunJob, runId: number): Promise<JsonObject> {
  await client.query('set maint.progress = application_name');
  try {
    return await runHere(client, job);
  } catch (error) {
    if (!(error instanceof FailureError) || !mayBeRecorded(error.failure.sqlstate)) throw error;
    await client.query(`select maint.end_queued_run($1, 'failed', null, $2::jsonb)`, [
      runId,
      JSON.stringify(error.failure),
    ]);
    return { status: 'failed', run_id: runId };
  }
}

export default defineJob<RunJob>({
  queue: 'maint_run',
  places: () => 1,
  describe: ({ run_id }) => (run_id === undefined ? 'the scheduled run' : `run ${run_id}`),

  async perform(client, job, { version }) {
    const installation = await queryRow<Installation>(
      client,
      `select version, pg_catalog.to_regprocedure('maint.dispatch(jsonb)') is not null as in_database
       from maint.installation`,
    );
    // One that was queued has its row, also where the language has come since.
    if (job.run_id === undefined && installation.in_database)
      return summary(await runInDatabase(client, job));
    // The steps that run are this program's, and the tables and settings they need are the database's.
    if (installation.version !== version)
      throw new Error(`the database has pg-maint ${installation.version} and this worker is ${version}`);
    const result =
      job.run_id === undefined ? await runHere(client, job) : await runQueued(client, job, job.run_id);
    return summary(result);
  },

  /** In maint.runs, as failed, and as an alert of that run. */
  async giveUp(client, { run_id, force, only, dry_run }, reason) {
    const { recorded } = await queryRow<{ recorded: number | null }>(
      client,
      `with ended as (
         update maint.run_log as r set status = 'failed', finished_at = pg_catalog.clock_timestamp(),
           error = pg_catalog.jsonb_build_object('message', $2::text)
         where r.run_id = $1 and r.status = 'queued'
         returning r.run_id
       ), made as (
         insert into maint.run_log (status, started_at, finished_at, forced, dry_run, only_steps, engine, version, error)
         select 'failed', pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp(), $3, $4, $5::int[], i.engine,
           i.version, pg_catalog.jsonb_build_object('message', $2::text)
         from maint.installation as i
         where $1::bigint is null
         returning run_id
       ), failed as (
         select e.run_id from ended as e union all select m.run_id from made as m
       ), told as (
         insert into maint.alert (run_id, step_number, severity, message, created_at)
         select f.run_id, 0, 'critical', 'maintenance did not run: ' || $2::text, pg_catalog.clock_timestamp()
         from failed as f
       )
       select (select f.run_id from failed as f)::float8 as recorded`,
      [run_id ?? null, reason, force, dry_run, only],
    );
    return recorded === null ? 'it had ended' : `recorded as failed run ${recorded}`;
  },
});
