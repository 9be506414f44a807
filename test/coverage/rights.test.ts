/** Roles with few rights run everything: what they could not see is said, nothing crashes, exit codes are right. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { runOverConnection } from '../../src/worker/host.ts';
import { install } from '../../src/worker/install.ts';
import type { InstallOptions } from '../../src/worker/install.ts';
import { command } from '../support/cli.ts';
import type { Answer } from '../support/cli.ts';
import { createDatabase, urlOf } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openTransaction, waitForRow } from '../support/maintenance.ts';
import type { RunResult } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';

/** A role of the test's own with nothing but what PUBLIC has, and the URL with which it connects. */
async function plainRole(
  t: ExecutionContext,
  database: TestDatabase,
): Promise<{ role: string; url: string }> {
  const role = `plain_${randomBytes(6).toString('hex')}`;
  await database.query(`create role ${role} login`);
  t.teardown(async () => {
    await database.query(`reassign owned by ${role} to postgres; drop owned by ${role}; drop role ${role}`);
  });
  const url = new URL(urlOf(database.name));
  url.username = role;
  return { role, url: url.href };
}

/** Things of a superuser that another role may not look at. */
const foreignThings = `
  create schema closed;
  create sequence closed.number maxvalue 100;
  create table closed.secret (id int primary key, word text) with (autovacuum_enabled = false);
  insert into closed.secret select g, 'w' || g % 100 from generate_series(1, 20000) as g;
  create index secret_word on closed.secret ((lower(word)));
  create index secret_id on closed.secret (id) where id > 5;
  create index secret_id_more on closed.secret (id) where id > 4;
  create table closed.reference (secret_id int references closed.secret);
  create materialized view closed.words as select id, lower(word) as word from closed.secret;
  create table guarded (id int primary key);
  alter table guarded enable row level security;
  create extension amcheck; create extension pageinspect; create extension pgstattuple;
  create extension pg_stat_statements;
  analyze closed.secret`;

function noRawError(t: ExecutionContext, answer: Answer, label: string): void {
  t.notRegex(answer.error, /^ {4}at /m, `${label}: no stack`);
  t.notRegex(answer.out + answer.error, /undefined|\[object/, label);
}

for (const engine of ['best', 'worker'] as const) {
  test(`an owner with nothing but CREATE on the database runs all steps (engine ${engine})`, async (t) => {
    const database = await createDatabase(t);
    await database.query(foreignThings);
    const { role, url } = await plainRole(t, database);
    await database.query(`grant create on database ${pg.escapeIdentifier(database.name)} to ${role}`);
    const options: InstallOptions = engine === 'worker' ? { engine } : {};
    const { owner, engine: used } = await install(url, options);
    t.is(owner, role);

    // A lock that a session of another role holds, of which this one sees that it is there, and no more.
    const busy = await openTransaction(database, 'select pg_advisory_xact_lock(1)');
    const client = new pg.Client({ connectionString: url, application_name: 'test' });
    await client.connect();
    t.teardown(() => client.end());
    const result = (
      used === 'worker'
        ? await runOverConnection(client, { force: true })
        : (await client.query<{ result: unknown }>('select maint.run(force => true) as result')).rows[0]!
            .result
    ) as RunResult;
    await busy.end();

    t.is(result.status, 'partial');
    t.is(result.integrity_check.status, 'unknown');
    t.is(Object.keys(result.steps).length, 18);
    const reasons = new Map<string, string[]>();
    for (const [name, step] of Object.entries(result.steps)) {
      t.true(['success', 'partial'].includes(step.status), `${name}: ${JSON.stringify(step)}`);
      t.is(step.error, null, name);
      const { coverage } = step;
      t.truthy(coverage, name);
      t.true(coverage!.of === null || coverage!.examined <= coverage!.of, name);
      const gaps = coverage!.unexamined.filter(({ standing }) => standing === 'gap');
      t.is(step.status, gaps.length > 0 ? 'partial' : 'success', name);
      t.false(
        coverage!.unexamined.some(({ reason }) => reason === 'failed'),
        `${name}: ${JSON.stringify(coverage)}`,
      );
      reasons.set(
        name,
        gaps.map(({ what, reason }) => `${what}: ${reason}`),
      );
    }
    const expect = (name: string, gap: string): void => {
      t.true(reasons.get(name)?.includes(gap), `${name}: ${gap} is among ${reasons.get(name)?.join('; ')}`);
    };
    expect('integrity_check', 'Structure of B-tree indexes (amcheck): not_permitted');
    expect('integrity_check', 'Sequences near the end of their range or their column: not_permitted');
    expect('stale_advisory_locks', 'sessions of other roles: not_permitted');
    expect('stale_operations', 'sessions of other roles: not_permitted');
    expect('pattern_learning', 'statements of other roles: not_permitted');
    expect('workload_analysis', 'statements of other roles: not_permitted');
    expect('foreign_keys', 'joins over foreign keys without an index: not_permitted');
    expect('safeguard_metrics', 'free disk space: no_worker');
    expect('predictive_maintenance', 'forecasts of bloat: no_worker');
    expect('train_query_risk', 'risk of statements: no_worker');

    const ran = await command('run', url, '--force');
    t.is(ran.code, 1, ran.error);
    t.regex(ran.out, /^Not examined: /m);
    t.notRegex(ran.out, /healthy/);
    noRawError(t, ran, 'run');
    for (const words of [['findings'], ['status'], ['config', 'show'], ['export', 'forecast']]) {
      const answer = await command(...words, url);
      t.true(answer.code < 2, `${words.join(' ')}: ${answer.error}`);
      noRawError(t, answer, words.join(' '));
    }

    const { rows } = await client.query<{ remedy: string }>(
      `select remedy from maint.gaps where state = 'open' and reason = 'not_permitted' and remedy like 'grant%'`,
    );
    t.true(rows.length > 0);
    for (const { remedy } of rows) await t.notThrowsAsync(database.query(remedy), remedy);
    const after = (await command('run', url, '--force')).out;
    t.regex(after, /integrity_check +success +[0-9.]+ +healthy/, 'the remedies are what it takes');
  });
}

test('a role with nothing but CONNECT gets a clear refusal from each command', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pg-maint-rights-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  const page = join(folder, 'report.html');
  const installed = await createDatabase(t, { template: 'installed' });
  const empty = await createDatabase(t);
  const commands: string[][] = [
    ['run', '--force'],
    ['run', '--dry-run'],
    ['findings'],
    ['apply', '1'],
    ['undo', '1'],
    ['cancel', '1'],
    ['report', '-o', page],
    ['status'],
    ['config', 'show'],
    ['export', 'training'],
    ['export', 'forecast'],
    ['uninstall'],
  ];
  for (const database of [installed, empty]) {
    const { url } = await plainRole(t, database);
    for (const words of commands) {
      const label = `${words.join(' ')} in ${database === empty ? 'an empty database' : 'an installation'}`;
      const answer = await command(...words, '-d', url);
      // Nothing to remove is no error.
      const nothing = database === empty && words[0] === 'uninstall';
      t.is(answer.code, nothing ? 0 : 2, `${label}: ${answer.out}${answer.error}`);
      if (!nothing) {
        t.regex(answer.error, /^pg-maint: \S/, label);
        t.is(answer.out, '', label);
        t.regex(
          answer.error,
          database === empty ? /is not installed/ : /permission denied|must be|owner|role/,
          label,
        );
      }
      noRawError(t, answer, label);
    }
  }
});

test('a superuser with all extensions and a worker: a clean database is examined in full', async (t) => {
  const database = await createDatabase(t);
  await database.query(
    'create extension amcheck; create extension pageinspect; create extension pgstattuple; create extension pg_stat_statements',
  );
  await database.query('create table clean (id int primary key); analyze clean');
  await install(database.url);
  await database.query('select maint.unschedule()');
  startWorker(t, database);
  await waitForRow(database, `select from maint.worker where (free_disk ->> 'known')::boolean`, [], 60);
  const [row] = await database.query<{ result: RunResult }>('select maint.run(force => true) as result');
  const { steps, status, unexamined } = row!.result;
  const gaps = Object.entries(steps).flatMap(([name, { coverage }]) =>
    coverage!.unexamined
      .filter(({ standing }) => standing === 'gap')
      .map(({ what, reason }) => [name, what, reason]),
  );
  t.deepEqual(gaps, []);
  t.is(status, 'success');
  t.is(unexamined.gap, 0);
  t.is(unexamined.accepted, 0);
  t.true(unexamined.not_yet > 0, 'the first week is not over: said, and no gap');
  const answer = await command('run', database.url, '--force');
  t.is(answer.code, 0, answer.out);
  t.regex(answer.out, /unused_indexes +success|nothing found/);
  const [overview] = await database.query<{ says: string }>(
    `select says from maint.overview where topic = 'health'`,
  );
  t.regex(overview!.says, /^nothing found yet/, 'not healthy as long as something is not known');
  const [metric] = await database.query<{ value: number }>(
    `select value from maint.metrics where name = 'pg_maint_last_run_complete'`,
  );
  t.is(metric!.value, 1);
});
