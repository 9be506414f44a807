import test from 'ava';
import pg from 'pg';
import { createDatabase } from '../support/database.ts';
import { hostileNames } from '../support/names.ts';
import { makeReindexLeftover, makeTable, quoted, quotedTable } from '../support/broken-indexes.ts';
import type { IndexName } from '../support/broken-indexes.ts';
import {
  cancel,
  foundNames,
  openFindings,
  openTransaction,
  queuedActions,
  run,
  startStatement,
  waitUntilBlocked,
} from '../support/maintenance.ts';
import type { TestDatabase } from '../support/database.ts';

const kind = 'index.orphaned';
const only = ['orphaned_indexes', 'invalid_indexes'];
const shop: IndexName = { schema: 'shop', table: 'orders', index: 'orders_a' };
const quote = pg.escapeIdentifier;

async function makeIndexedTable(database: TestDatabase, name: IndexName): Promise<void> {
  await makeTable(database, name);
  await database.query(`create index ${quote(name.index)} on ${quotedTable(name)} (a)`);
}

async function reasons(database: TestDatabase): Promise<unknown[]> {
  return (await openFindings(database, kind)).map(({ object_name, detail }) => [
    object_name,
    detail['reason'],
  ]);
}

/** Runs the remedies of all open findings, which must be enough to have none. */
async function applyRemedies(database: TestDatabase): Promise<number> {
  for (const { remedy } of await openFindings(database, kind)) {
    for (const statement of remedy!.split(/;\n|;$/).filter((each) => each !== ''))
      await database.query(statement);
  }
  return (await run(database, { only })).cleanup['orphaned_indexes_found'] as number;
}

test('a clean database gives nothing, whatever its valid indexes are called', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  for (const index of ['orders_a', 'orders_a_ccnew', 'orders_a_ccold1', 'index_16384', 'index_1']) {
    await makeIndexedTable(database, { ...shop, index });
  }
  const result = await run(database, { only });
  t.is(result.status, 'success');
  t.is(result.cleanup['orphaned_indexes_found'], 0);
  t.is(result.cleanup['orphaned_indexes'], 0);
  t.deepEqual(await openFindings(database, kind), []);
});

for (const label of ['ccnew', 'ccold'] as const) {
  test(`${label} leftovers of REINDEX CONCURRENTLY are found by any number, and step 3 leaves them alone`, async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    await makeIndexedTable(database, shop);
    await makeReindexLeftover(database, shop, label);
    await makeReindexLeftover(database, shop, label);
    const result = await run(database, { only });
    t.deepEqual(await reasons(database), [
      [`orders_a_${label}`, `reindex_${label}`],
      [`orders_a_${label}1`, `reindex_${label}`],
    ]);
    t.is(result.cleanup['orphaned_indexes'], 0);
    t.is(result.cleanup['orphaned_indexes_queued'], 2);
    t.is(result.cleanup['invalid_indexes_found'], 0);
    t.deepEqual(
      result.alerts.map(({ step, severity }) => [step, severity]),
      [[2, 'info']],
    );
    t.deepEqual(await queuedActions(database), [
      `drop_index shop.orders_a_${label}`,
      `drop_index shop.orders_a_${label}1`,
    ]);
    t.is(await applyRemedies(database), 0);
    t.deepEqual(await queuedActions(database), []);
  });
}

test('leftovers of every name, in every schema, are matched with what they were made from', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const names = hostileNames.flatMap((name, position) => [
    { schema: `first ${position}`, table: `t${position}`, index: name },
    { schema: name, table: name, index: 'same name' },
  ]);
  for (const name of names) {
    await makeIndexedTable(database, name);
    await makeReindexLeftover(database, name, 'ccnew');
  }
  await run(database, { only });
  const findings = await openFindings(database, kind);
  t.is(findings.length, names.length);
  for (const { detail, summary } of findings) t.is(detail['kept_because'], undefined, summary);
  t.is((await queuedActions(database)).length, names.length);
  t.is(await applyRemedies(database), 0);
});

test('a leftover stays when what it was made from is not valid, or is not there', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeIndexedTable(database, shop);
  await makeReindexLeftover(database, shop, 'ccnew');
  await database.query(`update pg_index set indisvalid = false where indexrelid = 'shop.orders_a'::regclass`);
  await run(database, { only: ['orphaned_indexes'] });
  const [finding] = await openFindings(database, kind);
  t.regex(
    JSON.stringify(finding!.detail['kept_because']),
    /shop\.orders_a, which should serve in its place, is not valid/,
  );
  t.deepEqual(await queuedActions(database), []);

  await database.query(`drop index ${quoted(shop)}`);
  await run(database, { only: ['orphaned_indexes'] });
  const [alone] = await openFindings(database, kind);
  t.regex(JSON.stringify(alone!.detail['kept_because']), /no index with the same definition/);
  t.deepEqual(await queuedActions(database), []);

  // One of the same name but another definition is not what it was made from.
  await database.query(`create index orders_a on ${quotedTable(shop)} (b)`);
  await run(database, { only: ['orphaned_indexes'] });
  const [other] = await openFindings(database, kind);
  t.is(other!.detail['original'], null);
  t.deepEqual(await queuedActions(database), []);
});

test('leftovers on a TOAST table can be dropped as the remedy says', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database, shop);
  const holder = await openTransaction(database, `lock table ${quotedTable(shop)} in row exclusive mode`);
  const [toast] = await database.query<{ name: string }>(
    `select reltoastrelid::regclass::text as name from pg_class where oid = 'shop.orders'::regclass`,
  );
  await holder.client.query(`select from ${toast!.name}`);
  const reindex = await startStatement(database, `reindex table concurrently ${quotedTable(shop)}`);
  await waitUntilBlocked(database, reindex);
  await cancel(database, reindex);
  await holder.end();
  await run(database, { only });
  t.regex((await foundNames(database, kind)).join(), /^pg_toast\.pg_toast_\d+_index_cc(new|old)$/);
  t.is((await queuedActions(database)).length, 1);
  t.is(await applyRemedies(database), 0);
});

test("a leftover of pg_repack is told by its original's oid and definition", async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeIndexedTable(database, shop);
  const [original] = await database.query<{ oid: number }>(
    `select 'shop.orders_a'::regclass::oid::int as oid`,
  );
  const leftover = `index_${original!.oid}`;
  // A near miss: the name fits, the definition does not.
  await database.query(`create index ${leftover} on ${quotedTable(shop)} (b)`);
  t.is((await run(database, { only })).cleanup['orphaned_indexes_found'], 0);
  await database.query(`drop index shop.${leftover}`);
  await database.query(`create index ${leftover} on ${quotedTable(shop)} (a)`);

  const repacking = await database.client();
  await repacking.query(`select pg_advisory_lock(16185446, 'shop.orders'::regclass::oid::int)`);
  t.is((await run(database, { only })).cleanup['orphaned_indexes_found'], 0, 'pg_repack is at work');
  await repacking.query('select pg_advisory_unlock_all()');
  await run(database, { only });
  t.deepEqual(await reasons(database), [[leftover, 'pg_repack']]);
  t.deepEqual(await queuedActions(database), [`drop_index shop.${leftover}`]);
  t.is(await applyRemedies(database), 0);
  t.deepEqual(
    await database.query(`select from pg_class where relname = 'orders_a'`),
    [{}],
    'the original is there',
  );
});

test('a partitioned index made ON ONLY is reported once, never dropped, and its remedy completes it', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(
    `create schema "Part.s"; create table "Part.s"."p "" t" (a int, b int) partition by range (a)`,
  );
  await database.query(
    `create table "Part.s".one partition of "Part.s"."p "" t" for values from (0) to (10)`,
  );
  await database.query(
    `create table "Part.s".two partition of "Part.s"."p "" t" for values from (10) to (20)`,
  );
  await database.query(`create index complete on "Part.s"."p "" t" (b)`);
  t.is((await run(database, { only })).cleanup['orphaned_indexes_found'], 0);
  await database.query(`create unique index "on ONLY; me" on only "Part.s"."p "" t" (a, b)`);
  const result = await run(database, { only });
  t.is(result.cleanup['invalid_indexes_found'], 0);
  t.deepEqual(await reasons(database), [['on ONLY; me', 'partitioned_incomplete']]);
  const [finding] = await openFindings(database, kind);
  t.deepEqual(finding!.detail['missing_partitions'], ['"Part.s".one', '"Part.s".two']);
  t.deepEqual(await queuedActions(database), []);
  t.is(await applyRemedies(database), 0);
  t.deepEqual(await database.query(`select from pg_index where not indisvalid`), []);
});

const parted = `create schema app; create table app.p (k int, a int) partition by list (k);
  create table app.p_1 partition of app.p for values in (1); create table app.p_2 partition of app.p for values in (2, 3) partition by list (k);
  create table app.p_2_2 partition of app.p_2 for values in (2); create table app.p_2_3 partition of app.p_2 for values in (3)`;

test('a parent whose partition was repaired by hand is healed by an attach, from the leaves up', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(parted);
  await database.query('create index p_a on app.p (a)');
  const [leaf] = await database.query<{ name: string }>(
    `select indexrelid::regclass::text as name from pg_index where indrelid = 'app.p_2_3'::regclass`,
  );
  await database.query(
    `update pg_index set indisvalid = false where indexrelid = any (array[$1, 'app.p_a', 'app.p_2_a_idx']::regclass[])`,
    [leaf!.name],
  );
  await run(database, { only });
  const [broken] = await openFindings(database, kind);
  t.regex(
    broken!.remedy!,
    /^reindex index concurrently app\.p_2_3_a_idx;\nalter index app\.p_2_a_idx attach partition app\.p_2_2_a_idx;\nalter index app\.p_a attach/,
  );
  await database.query(`reindex index concurrently ${leaf!.name}`);
  await run(database, { only });
  const [repaired] = await openFindings(database, kind);
  t.regex(repaired!.summary, /is invalid although every partition/);
  t.is(await applyRemedies(database), 0);
  t.deepEqual(await database.query('select from pg_index where not indisvalid'), []);
});

test('one made ON ONLY over a foreign partition is made anew without it', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(parted);
  await database.query(`create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
    create foreign table app."p;f" partition of app.p for values in (9) server nowhere`);
  await database.query('create index complete on app.p (k)');
  await database.query('create index p_a on only app.p (a)');
  await run(database, { only });
  const [finding] = await openFindings(database, kind);
  t.is(finding!.object_name, 'p_a');
  t.regex(finding!.summary, /partition app\."p;f" is a foreign table/);
  t.is(await applyRemedies(database), 0);
  t.deepEqual(await database.query('select from pg_index where not indisvalid'), []);
});

test('a foreign partition below another partition counts as well, and over one no unique index can be valid', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(parted);
  await database.query(`create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
    create foreign table app.far partition of app.p_2 default server nowhere;
    create index p_a on only app.p (a); create index p_1_a on app.p_1 (a); alter index app.p_a attach partition app.p_1_a;
    create index p_2_a on only app.p_2 (a); create index p_2_2_a on app.p_2_2 (a); create index p_2_3_a on app.p_2_3 (a);
    alter index app.p_2_a attach partition app.p_2_2_a; alter index app.p_2_a attach partition app.p_2_3_a;
    alter index app.p_a attach partition app.p_2_a`);
  await run(database, { only });
  const [plain] = await openFindings(database, kind);
  t.regex(plain!.summary, /partition app\.far is a foreign table/);
  t.is(await applyRemedies(database), 0);
  t.deepEqual(await database.query('select from pg_index where not indisvalid'), []);
  await database.query('create unique index p_k on only app.p (k, a)');
  await run(database, { only });
  const [unique] = await openFindings(database, kind);
  t.regex(unique!.summary, /is invalid and cannot become valid/);
  t.is(unique!.remedy, null);
});

test('a damaged catalog is reported as critical and not touched', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeIndexedTable(database, shop);
  const [index] = await database.query<{ oid: number }>(`select 'shop.orders_a'::regclass::oid::int as oid`);
  await database.query(`delete from pg_class where oid = $1`, [index!.oid]);
  await run(database, { only });
  const [finding] = await openFindings(database, kind);
  t.is(finding!.severity, 'critical');
  t.is(finding!.detail['index_oid'], index!.oid);
  t.is(finding!.remedy, null);
  t.deepEqual(await queuedActions(database), []);
});

test('records of indexes that vanished are forgotten', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeIndexedTable(database, shop);
  await database.query(
    `insert into maint.index_check values ('shop.orders_a'::regclass, 'shop', 'orders', 'orders_a', 1, 1, 'sound', null, 1, now()),
       (1, 'shop', 'orders', 'gone', 1, 1, 'sound', null, 1, now())`,
  );
  const result = await run(database, { only });
  t.is(result.cleanup['vanished_records_forgotten'], 1);
  t.deepEqual(await database.query('select index_name from maint.index_check'), [{ index_name: 'orders_a' }]);
  t.is((await run(database, { only })).cleanup['vanished_records_forgotten'], undefined);
});

test('the index of an extension is reported, its removal never queued', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeIndexedTable(database, shop);
  await makeReindexLeftover(database, shop, 'ccnew');
  await database.query('create extension pg_buffercache');
  await database.query(`alter extension pg_buffercache add table ${quotedTable(shop)}`);
  await run(database, { only });
  const [finding] = await openFindings(database, kind);
  t.regex(JSON.stringify(finding!.detail['kept_because']), /extension pg_buffercache/);
  t.deepEqual(await queuedActions(database), []);
});
