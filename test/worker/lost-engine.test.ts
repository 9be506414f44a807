/** The language of the checks goes away after the installation, and runs that nobody takes. */
import test from 'ava';
import { command } from '../support/cli.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { waitForRow } from '../support/maintenance.ts';
import { provideRoles } from '../support/roles.ts';
import { startWorker } from '../support/worker.ts';

interface Problem {
  problem: string;
  detail: string;
  fix: string;
}

async function problems(database: TestDatabase): Promise<Problem[]> {
  const [row] = await database.query<{ problems: Problem[] }>(
    `select maint.status() -> 'problems' as problems`,
  );
  return row!.problems;
}

/** The name of the engine whose language was dropped with all that is written in it, and the statement that makes it again. */
async function dropLanguage(database: TestDatabase): Promise<{ engine: string; again: string }> {
  const [row] = await database.query<{ engine: string; extension: string | null; again: string }>(`
    select l.lanname as engine, e.extname as extension, format('create %s language %I handler %s validator %s',
      case when l.lanpltrusted then 'trusted' else '' end, l.lanname, h.name, v.name) as again
    from maint.installation as i
    join pg_language as l on l.lanname = i.engine
    left join pg_depend as d on d.classid = 'pg_language'::regclass and d.objid = l.oid and d.deptype = 'e'
    left join pg_extension as e on e.oid = d.refobjid
    cross join lateral (select format('%I.%I', n.nspname, p.proname) from pg_proc as p
      join pg_namespace as n on n.oid = p.pronamespace where p.oid = l.lanplcallfoid) as h (name)
    cross join lateral (select format('%I.%I', n.nspname, p.proname) from pg_proc as p
      join pg_namespace as n on n.oid = p.pronamespace where p.oid = l.lanvalidator) as v (name)`);
  const { engine, extension, again } = row!;
  if (extension !== null) {
    await database.query(`drop extension ${extension} cascade`);
    return { engine, again: `create extension ${extension}` };
  }
  await database.query(`drop language ${engine} cascade`);
  return { engine, again };
}

test('a language that is dropped is named by status and doctor, with the command; install brings it back', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  t.deepEqual(await problems(database), []);
  const { engine, again } = await dropLanguage(database);
  const [missing, ...others] = await problems(database);
  t.deepEqual(others, []);
  t.is(missing!.problem, 'engine_missing');
  t.regex(missing!.detail, new RegExp(`no language ${engine}`));
  const doctor = await command('doctor', database.url);
  t.is(doctor.code, 1);
  t.regex(doctor.out, new RegExp(`problem +engine +this server has no language ${engine}`));
  t.regex((await command('status', database.url)).out, /problem +this server has no language/);

  await database.query(again);
  t.regex((await problems(database))[0]!.detail, /maint\.dispatch.*is missing/);
  t.is((await command('install', database.url)).code, 0);
  t.deepEqual(await problems(database), []);
  t.is((await command('run', '--force', '--only', 'bypass_status', database.url)).code, 0);
});

test('a run without its language is queued, says so, and is done by a worker that comes; none does it twice', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await dropLanguage(database);
  await database.query('select maint.unschedule()');
  const [row] = await database.query<{
    answer: { status: string; reason: string; detail: string; run_id: number };
  }>(`select maint.run(force => true, "only" => '{bypass_status}') as answer`);
  t.like(row!.answer, { status: 'queued', reason: 'engine_missing' });
  t.regex(row!.answer.detail, /has no language.*no worker is alive/);
  t.deepEqual(
    (await problems(database)).map(({ problem }) => problem),
    ['engine_missing', 'runs_waiting'],
  );
  // Without a worker, the command does it, with the same rights.
  t.is((await command('run', '--force', '--only', 'bypass_status', database.url)).code, 0);
  startWorker(t, database);
  await waitForRow(
    database,
    `select from maint.run_log where run_id = ${row!.answer.run_id} and status = 'success'`,
  );
  t.is((await database.query('select from maint.run_log')).length, 2);
});

test('a run that nobody takes is ended after a day, as failed and with an alert; one that waits less is not', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const { again } = await dropLanguage(database);
  for (const step of ['bypass_status', 'invalid_indexes'])
    await database.query('select maint.run(true, $1)', [[step]]);
  await database.query(
    `update maint.run_log set started_at = started_at - interval '25 hours' where run_id = 1`,
  );
  const statuses = async (): Promise<string[]> =>
    (await database.query<{ status: string }>('select status from maint.run_log order by run_id')).map(
      ({ status }) => status,
    );
  t.deepEqual(await statuses(), ['queued', 'queued']);
  await database.query(`select maint.run(true, '{stale_advisory_locks}')`);
  t.deepEqual(await statuses(), ['failed', 'queued', 'queued']);
  const [alert] = await database.query<{ message: string }>('select message from maint.alerts');
  t.regex(alert!.message, /did not run: no worker took it within/);

  // A worker that looks for what is due does the same, and so does a run in the server once the language is back.
  await database.query(
    `update maint.run_log set started_at = started_at - interval '25 hours' where run_id = 2`,
  );
  await database.query('select maint.enqueue_due_runs()');
  t.deepEqual(await statuses(), ['failed', 'failed', 'queued']);
  await database.query(again);
  await command('install', database.url);
  await database.query(
    `update maint.run_log set started_at = started_at - interval '25 hours' where run_id = 3`,
  );
  await database.query(`select maint.run(true, '{bypass_status}')`);
  t.deepEqual(await statuses(), ['failed', 'failed', 'failed', 'success']);
});

test('doctor works for a role that may do nothing but connect, and for one that may only look', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const role = `nobody_${database.name}`;
  await database.query(`create role ${role} login`);
  t.teardown(() => database.query(`drop owned by ${role}; drop role ${role}`));
  const url = new URL(database.url);
  url.username = role;
  const nobody = await command('doctor', url.href);
  t.is(nobody.code, 1);
  t.regex(nobody.out, new RegExp(`^ok +role +connected as ${role}, which may connect, and see nothing`));
  t.regex(nobody.out, new RegExp(`problem +access .*\n +grant maint_reader to ${role};`));
  t.notRegex(nobody.out + nobody.error, /permission denied|SQLSTATE|at async/);
  // What it says is enough.
  await provideRoles(database);
  await database.query(`select maint.apply_grants(); grant maint_reader to ${role};`);
  const reader = await command('doctor', url.href);
  t.regex(reader.out, /may look; runs and fixes are for members of maint_operator/);
  t.notRegex(reader.out + reader.error, /permission denied|SQLSTATE|at async/);
  const empty = await createDatabase(t);
  const elsewhere = new URL(empty.url);
  elsewhere.username = role;
  t.regex((await command('doctor', elsewhere.href)).out, /problem +installation +pg-maint is not installed/);
});
