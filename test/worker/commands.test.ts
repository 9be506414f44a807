import test from 'ava';
import { main } from '../../src/worker/cli.ts';
import { command } from '../support/cli.ts';
import { install } from '../../src/worker/install.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { startWorker } from '../support/worker.ts';

/** A table with two redundant indexes: two findings of severity warning or info that can be applied. */
async function redundant(database: TestDatabase): Promise<void> {
  await database.query(`create schema "My shop";
    create table "My shop"."Order" (a int, b int);
    insert into "My shop"."Order" select n, n from generate_series(1, 1000) as n;
    create index "a only" on "My shop"."Order" (a);
    create index "a and b" on "My shop"."Order" (a, b)`);
}

const redundantOnly = ['--force', '--only', 'redundant_indexes'] as const;

test('run ends with 1 from the severity that --fail-on names', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await redundant(database);
  const code = async (...words: string[]): Promise<number> =>
    (await command('run', database.url, ...redundantOnly, ...words)).code;
  const [worst] = await database.query<{ severity: string }>(`select severity from maint.findings limit 1`);
  t.is(worst, undefined);
  t.is(await code('--fail-on', 'info'), 1);
  t.is(await code('--fail-on', 'critical'), 0);
  t.is(await code('--fail-on', 'never'), 0);
  t.is((await command('findings', database.url, '--fail-on', 'info')).code, 1);
  t.is((await command('findings', database.url, '--fail-on', 'info', '--kind', 'lock.*')).code, 0);
  t.is((await command('run', database.url, '--fail-on', 'sometimes')).code, 2);
});

test('findings, apply --wait without a worker, the finding is mended, undo brings the index back', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await redundant(database);
  await command('run', database.url, ...redundantOnly);
  const listed = await command('findings', database.url, '--json');
  const [finding] = JSON.parse(listed.out) as { finding_id: number; kind: string; remedy: string }[];
  t.like(finding, { kind: 'index.redundant', remedy: 'drop index concurrently "My shop"."a only";' });
  const id = String(finding!.finding_id);
  const queued = await command('apply', database.url, id);
  t.regex(queued.out, /^action 1: drop_index is queued$/m);
  const applied = await command('apply', database.url, id, '--wait');
  t.is(applied.code, 0, applied.out + applied.error);
  t.regex(applied.out, /no worker is alive: this command does the actions itself/);
  t.regex(applied.out, /^action 1: drop_index "My shop"\."a only" succeeded/m);
  const after = await command('findings', database.url, '--fail-on', 'info');
  t.is(after.code, 0);
  t.regex(after.out, /mended by action 1/);
  const undone = await command('undo', '-d', database.url, '1', '--wait', '--json');
  t.is(undone.code, 0, undone.out + undone.error);
  t.like(JSON.parse(undone.out), { kind: 'create_index', status: 'succeeded', wait: 'finished' });
  t.is((await database.query(`select '"My shop"."a only"'::regclass`)).length, 1);
  t.is((await command('findings', database.url, '--fail-on', 'info')).code, 1);
});

test('run --wait follows the actions to their end', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`create table many with (autovacuum_enabled = false) as select n, n % 7 as m from generate_series(1, 300000) as n;
    select maint.configure('features.statistics_refresh.min_table_size_mb', '0.1')`);
  const worker = startWorker(t, database);
  const said = { out: '', error: '' };
  const code = await main(
    ['run', database.url, '--force', '--only', 'refresh_statistics', '--wait', '--fail-on', 'never'],
    {
      write: (text) => (said.out += text),
      writeError: (text) => (said.error += text),
      colour: true,
      live: true,
    },
  );
  t.is(code, 0, said.out + said.error);
  t.regex(said.error, /steps \d+ of \d+ · refresh_statistics success/);
  t.regex(said.error, /actions 0 of 1 · analyze_table public\.many/);
  t.regex(said.error, /action 1: analyze_table public\.many succeeded/);
  t.true(said.out.includes('\u001b['));
  await worker.stop();
});

test('an action that can not be done in time ends with 1 and its reason; cancel takes it back', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await redundant(database);
  await command('run', database.url, ...redundantOnly);
  await database.query(`select maint.bypass('actions', 'moving', now() + interval '1 day')`);
  const applied = await command('apply', database.url, '1', '--wait', '--timeout', '12');
  t.is(applied.code, 1);
  t.regex(applied.out, /not done yet: bypass: .*moving/);
  t.regex((await command('cancel', database.url, '1')).out, /action 1 is taken back/);
  const again = await command('cancel', database.url, '1');
  t.is(again.code, 2);
  t.regex(again.error, /not queued but skipped/);
  t.is((await command('apply', database.url, 'one')).code, 2);
});

test('doctor names what is missing and how to mend it', async (t) => {
  const database = await createDatabase(t);
  const before = await command('doctor', database.url);
  t.is(before.code, 1);
  t.regex(before.out, /problem +installation +pg-maint is not installed.*\n +pg-maint install URL/);
  await command('install', database.url);
  const after = await command('doctor', database.url, '--json');
  t.is(after.code, 1);
  const checks = JSON.parse(after.out) as { about: string; status: string; fix: string | null }[];
  t.like(
    checks.find(({ about }) => about === 'worker'),
    { status: 'problem', fix: 'pg-maint worker --database URL' },
  );
  t.like(
    checks.find(({ about }) => about === 'runs'),
    { fix: 'select maint.run(force => true);' },
  );
  // Every statement that it advises for extensions works as it stands.
  for (const { about, fix } of checks)
    if (about === 'privileges' && fix?.startsWith('create extension') === true) await database.query(fix);
  // pageinspect's functions are for superusers: an installation by one lets the owner use it.
  await install(database.url);
  await database.query('select maint.run(force => true)');
  startWorker(t, database);
  while ((await database.query('select from maint.worker')).length === 0)
    await new Promise((settle) => setTimeout(settle, 50));
  const mended = JSON.parse((await command('doctor', database.url, '--json')).out) as typeof checks;
  const open = mended.filter(({ status }) => status === 'problem').map(({ about }) => about);
  t.deepEqual(
    open.filter((about) => about !== 'preload'),
    [],
    JSON.stringify(mended),
  );
});
