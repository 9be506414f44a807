import test from 'ava';
import pg from 'pg';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { makeInvalidIndex } from '../support/broken-indexes.ts';
import { hostileNames } from '../support/names.ts';
import { openFindings, run, waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';
import type { JsonObject } from '../../src/steps/step.ts';
import { actionKey } from '../../src/steps/step.ts';
import type { Action } from '../../src/steps/step.ts';

const { escapeIdentifier: quote } = pg;

interface Applied {
  action_id: number;
  status: string;
  kind: string;
  target: JsonObject;
  already: boolean;
}

async function apply(database: TestDatabase, findingId: number): Promise<Applied> {
  const [row] = await database.query<{ answer: Applied }>('select maint.apply($1) as answer', [findingId]);
  return row!.answer;
}

/** What other tests do to the server must not keep these actions back. */
async function quiet(database: TestDatabase): Promise<void> {
  await database.query(`select maint.configure('operational.safeguards.max_active_backends_per_core', '0'),
    maint.configure('operational.safeguards.max_wal_mb_per_second', '0')`);
}

async function ended(database: TestDatabase, actionId: number): Promise<Record<string, unknown>> {
  await waitForRow(
    database,
    `select from maint.actions where action_id = $1 and status not in ('queued', 'running')`,
    [actionId],
  );
  const rows = await database.query(
    'select status, outcome, evidence from maint.actions where action_id = $1',
    [actionId],
  );
  return rows[0]!;
}

const redundant = `create schema shop; create table shop.orders (a int, b int);
  create index orders_a on shop.orders (a); create index orders_a_b on shop.orders (a, b);`;

test('a redundant index is dropped once its finding is applied, and undo brings it back', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await quiet(database);
  await database.query(`${redundant} comment on index shop.orders_a is 'kept''s "comment"'`);
  await run(database, { only: ['redundant_indexes'] });
  const [finding] = await openFindings(database, 'index.redundant');
  t.deepEqual(await database.query('select from maint.actions'), [], 'nothing is done by itself');
  const applied = await apply(database, finding!.finding_id);
  t.like(applied, { status: 'queued', kind: 'drop_index', already: false });
  t.like(await apply(database, finding!.finding_id), { action_id: applied.action_id, already: true });
  const [row] = await database.query<{ key: string }>('select action_key as key from maint.action');
  t.is(row!.key, actionKey({ kind: 'drop_index', target: applied.target } as unknown as Action));
  startWorker(t, database);
  t.is((await ended(database, applied.action_id))['status'], 'succeeded');
  const there = async (): Promise<unknown> =>
    (
      await database.query(`select c.relname, obj_description(c.oid, 'pg_class') as comment, x.indisvalid as valid
       from pg_class as c join pg_index as x on x.indexrelid = c.oid where relname = 'orders_a'`)
    )[0];
  t.is(await there(), undefined);
  await t.throwsAsync(apply(database, finding!.finding_id + 1000), { code: '22023', message: /no finding/ });

  const [undone] = await database.query<{ answer: Applied }>('select maint.undo($1) as answer', [
    applied.action_id,
  ]);
  t.is(undone!.answer.kind, 'create_index');
  t.is((await ended(database, undone!.answer.action_id))['status'], 'succeeded');
  t.deepEqual(await there(), { relname: 'orders_a', comment: 'kept\'s "comment"', valid: true });
  await t.throwsAsync(database.query('select maint.undo($1)', [applied.action_id]), {
    message: /the index is there/,
  });
  // Undoing the undoing drops it again.
  const [again] = await database.query<{ answer: Applied }>('select maint.undo($1) as answer', [
    undone!.answer.action_id,
  ]);
  t.is(again!.answer.kind, 'drop_index');
  t.is((await ended(database, again!.answer.action_id))['status'], 'succeeded');
  t.is(await there(), undefined);
});

test('a foreign key gets its index, whatever the names; twice asked is once built', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await quiet(database);
  await database.query(`select maint.configure('operational.safeguards.actions_per_hour', '0')`);
  for (const name of hostileNames) {
    await database.query(`create schema ${quote(name)};
      create table ${quote(name)}.${quote(name)} (${quote(name)} int primary key);
      create table ${quote(name)}.child (${quote(name)} int references ${quote(name)}.${quote(name)})`);
  }
  await run(database, { only: ['foreign_keys'] });
  const findings = await openFindings(database, 'fk.unindexed');
  t.is(findings.length, hostileNames.length);
  const actions: number[] = [];
  for (const { finding_id: id } of findings) {
    const first = await apply(database, id);
    t.is(first.kind, 'create_index');
    t.like(await apply(database, id), { action_id: first.action_id, already: true });
    actions.push(first.action_id);
  }
  startWorker(t, database);
  for (const id of actions) t.like(await ended(database, id), { status: 'succeeded' });
  await run(database, { only: ['foreign_keys'] });
  t.deepEqual(await openFindings(database, 'fk.unindexed'), []);
});

test('an invalid index is dropped on request though auto_cleanup is off', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await quiet(database);
  await database.query(`select maint.configure('features.invalid_index_cleanup.auto_cleanup', 'false')`);
  await makeInvalidIndex(database, { schema: 'shop', table: 'orders', index: 'orders_a_key' });
  await run(database, { only: ['invalid_indexes'] });
  t.deepEqual(await database.query('select from maint.actions'), []);
  const [finding] = await openFindings(database, 'index.invalid');
  const { action_id: id } = await apply(database, finding!.finding_id);
  startWorker(t, database);
  t.like(await ended(database, id), { status: 'succeeded' });
  t.deepEqual(await database.query('select from pg_index where not indisvalid'), []);
});

test('what has no action is refused with its reason, and nothing is queued', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`create schema shop; create table shop.customer (id int primary key);
    create table shop.orders (customer int references shop.customer) partition by list (customer);
    create table shop.orders_1 partition of shop.orders for values in (1);
    create table shop.loose (id int); alter table shop.loose add constraint positive check (id > 0) not valid`);
  await run(database, { only: ['foreign_keys', 'integrity_check'] });
  const [unindexed] = await openFindings(database, 'fk.unindexed');
  const [notValid] = await openFindings(database, 'integrity.');
  await t.throwsAsync(apply(database, notValid!.finding_id), { code: '22023', message: /have no action/ });
  await database.query('update maint.finding set resolved_at = now()');
  await t.throwsAsync(apply(database, unindexed!.finding_id), { code: '22023', message: /was resolved/ });
  t.deepEqual(await database.query('select from maint.action'), []);
});
