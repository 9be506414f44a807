/** An action and its undo mean one table and one index, by their oid, and do what was meant or nothing. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openFindings, openTransaction, run, waitForRow } from '../support/maintenance.ts';
import { actionRecord, ended, oidOf, queueAction, startWorker, waitingFor } from '../support/worker.ts';

async function applied(database: TestDatabase, finding: number): Promise<number> {
  const [row] = await database.query<{ id: number }>(`select (maint.apply($1) ->> 'action_id')::int as id`, [
    finding,
  ]);
  return row!.id;
}

async function undone(database: TestDatabase, action: number): Promise<number> {
  const [row] = await database.query<{ id: number }>(`select (maint.undo($1) ->> 'action_id')::int as id`, [
    action,
  ]);
  return row!.id;
}

async function indexesOf(database: TestDatabase, table: string): Promise<string[]> {
  const rows = await database.query<{ index: string }>(
    `select indexrelid::regclass::text as index from pg_index where indrelid = $1::regclass order by 1`,
    [table],
  );
  return rows.map(({ index }) => index);
}

/** t_b is redundant beside t_ab, and u_email2 beside the constraint's index. */
async function withRedundant(database: TestDatabase): Promise<{ ta: number; email: number }> {
  await database.query(`
    create table t (id int primary key, a int, b int); insert into t select g, g, g from generate_series(1, 1000) g;
    create index t_a on t (a); create index t_ab on t (a, b);
    create table u (id int primary key, email text not null); alter table u add constraint u_email_key unique (email);
    create unique index u_email2 on u (email)`);
  await run(database, { only: ['redundant_indexes'] });
  const findings = await openFindings(database, 'index.redundant');
  const of = (name: string): number => findings.find(({ object_name }) => object_name === name)!.finding_id;
  return { ta: of('t_a'), email: of('u_email2') };
}

test('a redundant index is not dropped once the one that does its work is gone or not valid; else it is', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const { ta, email } = await withRedundant(database);
  const drops = [await applied(database, ta), await applied(database, email)];
  await database.query('alter table u drop constraint u_email_key');
  await database.query(`update pg_index set indisvalid = false where indexrelid = 't_ab'::regclass`);
  startWorker(t, database);
  const [short, twin] = [await ended(database, drops[0]!), await ended(database, drops[1]!)];
  t.like(short, { status: 'skipped', outcome: 'public.t_ab is not valid: no longer redundant' });
  t.like(twin, { status: 'skipped', outcome: 'public.u_email_key is gone: no longer redundant' });
  t.deepEqual(await indexesOf(database, 'u'), ['u_email2', 'u_pkey']);
  await t.throwsAsync(database.query(`insert into u values (1, 'x'), (2, 'x')`), { code: '23505' });

  await database.query(`update pg_index set indisvalid = true where indexrelid = 't_ab'::regclass`);
  t.is((await ended(database, await applied(database, ta))).status, 'succeeded');
  t.deepEqual(await indexesOf(database, 't'), ['t_ab', 't_pkey']);
});

test('the last of two indexes is not dropped, whatever else wants to drop it', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const { ta } = await withRedundant(database);
  await database.query(`select maint.configure('features.index_cleanup.days_unused', '0'),
    maint.configure('features.index_cleanup.auto_cleanup', 'true')`);
  const client = await database.client();
  await client.query('set enable_seqscan = off; set enable_bitmapscan = off');
  for (let n = 1; n <= 30; n += 1) await client.query(`select count(*) from t where a = ${n}`);
  await client.query('select pg_stat_force_next_flush()');
  await client.end();
  const redundant = await applied(database, ta);
  await run(database, { only: ['unused_indexes'] });
  startWorker(t, database);
  await ended(database, redundant);
  await waitForRow(database, `select from maint.action having bool_and(finished_at is not null)`);
  t.true((await indexesOf(database, 't')).some((index) => index === 't_a' || index === 't_ab'));
  // Nor by the next run, as the counts of the one that is left say nothing of what the other one did.
  await run(database, { only: ['unused_indexes', 'redundant_indexes'] });
  await waitForRow(database, `select from maint.action having bool_and(finished_at is not null)`);
  t.true((await indexesOf(database, 't')).some((index) => index === 't_a' || index === 't_ab'));
});

test('a keeper that is dropped while the statement waits for its lock keeps the other one', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.worker.lock_timeout', '60000')`);
  const { ta } = await withRedundant(database);
  const other = await openTransaction(database, 'lock table t in share update exclusive mode');
  const id = await applied(database, ta);
  startWorker(t, database);
  await waitForRow(database, waitingFor('^lock table only public.t'));
  await other.client.query('drop index t_ab');
  await other.end();
  const { status, outcome } = await ended(database, id);
  t.is(status, 'skipped');
  t.is(outcome, 'public.t_ab is gone: no longer redundant');
  t.deepEqual(await indexesOf(database, 't'), ['t_a', 't_pkey']);
});

test('an index that took the name while the statement waited is not dropped', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.worker.lock_timeout', '60000')`);
  await database.query('create table t (a int, b int); create index i on t (a)');
  const oid = await oidOf(database, 'public', 'i');
  const id = await queueAction(database, 'drop_index', { schema: 'public', table: 't', index: 'i', oid });
  const other = await openTransaction(database, 'lock table t in share update exclusive mode');
  startWorker(t, database);
  await waitForRow(database, waitingFor('^lock table only public.t'));
  await other.client.query('alter index i rename to kept; create index i on t (b)');
  await other.end();
  t.is((await ended(database, id)).status, 'expired');
  t.deepEqual(await indexesOf(database, 't'), ['i', 'kept']);
});

test('a drop that is cut off gives the index its name back', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.worker.lock_timeout', '60000')`);
  await database.query('create table t (a int); create index i on t (a)');
  const oid = await oidOf(database, 'public', 'i');
  const id = await queueAction(database, 'drop_index', { schema: 'public', table: 't', index: 'i', oid });
  // It waits for the first lock; the writer comes meanwhile, so that no probe has seen it, and the drop waits for it.
  const first = await openTransaction(database, 'lock table t in share update exclusive mode');
  startWorker(t, database);
  await waitForRow(database, waitingFor('^lock table only public.t'));
  const writer = await openTransaction(database, 'lock table t in row exclusive mode');
  await first.end();
  const waiting = `select pid from pg_stat_activity where query ~ '^drop index concurrently public.maint_drop_'
    and wait_event_type = 'Lock' and datname = current_database()`;
  await waitForRow(database, waiting);
  await database.query(`select pg_cancel_backend(s.pid) from (${waiting}) as s`);
  t.is((await ended(database, id)).status, 'failed');
  t.is((await database.query(`select from pg_class where relname = 'i' and oid = $1`, [oid])).length, 1);
  await writer.end();
  const again = await queueAction(database, 'drop_index', { schema: 'public', table: 't', index: 'i', oid });
  t.is((await ended(database, again)).status, 'succeeded');
});

test('apply and undo leave a table alone that has taken the name of the one meant', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table t (a int); create index i on t (a)');
  const dropped = await queueAction(database, 'drop_index', {
    schema: 'public',
    table: 't',
    index: 'i',
    oid: await oidOf(database, 'public', 'i'),
  });
  const built = await queueAction(database, 'create_index', {
    schema: 'public',
    table: 't',
    index: 'made',
    oid: await oidOf(database, 'public', 't'),
    statement: 'create index concurrently made on public.t (a)',
  });
  startWorker(t, database);
  t.is((await ended(database, dropped)).status, 'succeeded');
  t.is((await ended(database, built)).status, 'succeeded');
  await database.query('drop index made; create index made on t (a)');
  await t.throwsAsync(undone(database, built), { message: /the index is another one, that was made since/ });
  await database.query('alter table t rename to old; create table t (a int)');
  await t.throwsAsync(undone(database, dropped), { message: /the table is called public.old now/ });
  await database.query('drop table old');
  await t.throwsAsync(undone(database, dropped), { message: /the table is gone/ });

  const { email } = await withFindingOnly(database);
  await database.query('alter table w rename to w_old; create table w (like w_old including all)');
  await t.throwsAsync(applied(database, email), { message: /another table has the name of its table now/ });
});

async function withFindingOnly(database: TestDatabase): Promise<{ email: number }> {
  await database.query(
    'create table w (a int, b int); create index w_a on w (a); create index w_ab on w (a, b)',
  );
  await run(database, { only: ['redundant_indexes'] });
  const findings = await openFindings(database, 'index.redundant');
  return { email: findings.find(({ object_name }) => object_name === 'w_a')!.finding_id };
}

test('no index is built for a foreign key that is gone', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table parent (id int primary key); insert into parent select generate_series(1, 20000);
    create table child (id int primary key, parent_id int references parent);
    insert into child select n, n from generate_series(1, 20000) as n; analyze`);
  await run(database, { only: ['foreign_keys'] });
  const [finding] = await openFindings(database, 'fk.unindexed');
  const id = await applied(database, finding!.finding_id);
  await database.query(`alter table child drop constraint ${finding!.object_name!}`);
  startWorker(t, database);
  const { status, outcome } = await ended(database, id);
  t.is(status, 'expired');
  t.regex(outcome!, /foreign key .* is gone/);
  t.deepEqual(await indexesOf(database, 'child'), ['child_pkey']);
});

test('what is brought back is what was there, whatever the styles of the database are', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const { name } = database;
  await database.query(`
    create table t (d date, f float8, x int, i interval, b bytea, "G" int);
    create index t_d on t (x) where d > date '2026-02-01'; create index t_d2 on t (x) where d > date '2026-02-01';
    create index t_f on t (x) where f > '0.30000000000000004'::float8;
    create index t_f2 on t (x) where f > '0.30000000000000004'::float8;
    create index t_i on t (x) where i > interval '-1 year 2 days'; create index t_i2 on t (x) where i > interval '-1 year 2 days';
    create index t_b on t (x) where b > '\\x00ff'; create index t_b2 on t (x) where b > '\\x00ff'`);
  const state = async (): Promise<unknown> => {
    const client = await database.client();
    await client.query(`set datestyle = iso; set intervalstyle = postgres; set extra_float_digits = 3; set bytea_output = hex;
      set quote_all_identifiers = off`);
    const { rows } = await client.query(
      `select c.relname, pg_get_indexdef(c.oid), x.indpred::text ~ 'x' as has from pg_index x join pg_class c on c.oid = x.indexrelid
       where x.indrelid = 't'::regclass order by 1`,
    );
    await client.end();
    return rows;
  };
  const before = await state();
  await database.query(`alter database ${name} set extra_float_digits = 0; alter database ${name} set datestyle = 'SQL, DMY';
    alter database ${name} set intervalstyle = 'sql_standard'; alter database ${name} set bytea_output = 'escape'`);
  await run(database, { only: ['redundant_indexes'] });
  const findings = await openFindings(database, 'index.redundant');
  t.is(findings.length, 4);
  const first = startWorker(t, database);
  const drops = [];
  for (const { finding_id } of findings) drops.push(await applied(database, finding_id));
  for (const id of drops) {
    const { status, outcome } = await ended(database, id);
    t.is(status, 'succeeded', outcome!);
  }
  await first.stop();
  await database.query(`alter database ${name} set datestyle = 'German'; alter database ${name} set quote_all_identifiers = on;
    alter database ${name} set extra_float_digits = -5`);
  startWorker(t, database);
  for (const id of drops) {
    const again = await ended(database, await undone(database, id));
    t.is(again.status, 'succeeded', again.outcome!);
  }
  t.deepEqual(await state(), before);
});

test('an undo says where what it built differs from what was there, and has failed then', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table t (a text); create index i on t (a)');
  const dropped = await queueAction(database, 'drop_index', {
    schema: 'public',
    table: 't',
    index: 'i',
    oid: await oidOf(database, 'public', 'i'),
  });
  startWorker(t, database);
  t.is((await ended(database, dropped)).status, 'succeeded');
  // The statement says nothing of the collation, as it was the column's.
  await database.query('alter table t alter a type text collate "C"');
  const again = await undone(database, dropped);
  const { status, outcome } = await ended(database, again);
  t.is(status, 'failed');
  t.regex(outcome!, /is not as it was: collations: was .*default.*, is .*C/);
  t.is((await actionRecord(database, again)).attempts, 1);
});
