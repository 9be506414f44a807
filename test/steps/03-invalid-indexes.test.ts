import test from 'ava';
import { workInProgress } from '../../src/catalog/invalid-indexes.ts';
import { runAsync } from '../../src/core/drivers.ts';
import { connectionHost } from '../../src/worker/host.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { hostileNames } from '../support/names.ts';
import { makeInvalidIndex, makeTable, quoted, quotedTable } from '../support/broken-indexes.ts';
import type { IndexName } from '../support/broken-indexes.ts';
import {
  foundNames,
  openFindings,
  openTransaction,
  queuedActions,
  run,
  startStatement,
  waitForRow,
  waitUntilBlocked,
} from '../support/maintenance.ts';

const kind = 'index.invalid';
const only = ['invalid_indexes'];
const shop: IndexName = { schema: 'shop', table: 'orders', index: 'orders_a_key' };

test('a clean database gives nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database, shop);
  await database.query(`create index on ${quotedTable(shop)} (a)`);
  const result = await run(database, { only });
  t.is(result.status, 'success');
  t.is(result.cleanup['invalid_indexes'], 0);
  t.is(result.cleanup['invalid_indexes_found'], 0);
  t.is(result.cleanup['invalid_indexes_queued'], 0);
  t.deepEqual(await openFindings(database, kind), []);
});

test('an invalid index is found, its removal queued and not pretended, and it is resolved when gone', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, shop);
  const result = await run(database, { only });
  t.is(result.status, 'success');
  t.is(result.cleanup['invalid_indexes_found'], 1);
  t.is(result.cleanup['invalid_indexes_queued'], 1);
  t.is(result.cleanup['invalid_indexes'], 0, 'nothing has been dropped yet');
  t.deepEqual(result.actions, { queued: 1 });
  t.deepEqual(
    result.alerts.map(({ severity }) => severity),
    ['warning'],
  );

  const [finding, ...others] = await openFindings(database, kind);
  t.deepEqual(others, []);
  t.is(finding!.object_name, shop.index);
  t.is(finding!.table_name, shop.table);
  t.is(finding!.detail['reason'], 'unfinished_build_or_drop');
  t.regex(
    JSON.stringify(finding!.detail['definition']),
    /^"CREATE UNIQUE INDEX orders_a_key ON shop\.orders USING btree \(a\)"$/,
  );
  t.deepEqual(await queuedActions(database), ['drop_index shop.orders_a_key']);

  await run(database, { only });
  t.deepEqual(await queuedActions(database), ['drop_index shop.orders_a_key'], 'not queued twice');

  await database.query(finding!.remedy!);
  const after = await run(database, { only });
  t.is(after.cleanup['invalid_indexes_found'], 0);
  t.deepEqual(await openFindings(database, kind), []);
  t.deepEqual(await queuedActions(database), []);
  const [{ resolved, expired } = {}] = await database.query<{ resolved: number; expired: number }>(
    `select (select count(*)::int from maint.findings where resolved_at is not null) as resolved,
       (select count(*)::int from maint.actions where status = 'expired') as expired`,
  );
  t.deepEqual({ resolved, expired }, { resolved: 1, expired: 1 });
});

test('every name works, in every schema, and the remedy runs as it is', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const names = hostileNames.flatMap((name, position) => [
    { schema: `first ${position}`, table: `t${position}`, index: name },
    { schema: name, table: name, index: 'same name' },
  ]);
  for (const name of names) await makeInvalidIndex(database, name);
  await run(database, { only });
  const expected = await database.query<{ name: string }>(
    `select n.nspname || '.' || c.relname as name from pg_index x join pg_class c on c.oid = x.indexrelid
     join pg_namespace n on n.oid = c.relnamespace where not x.indisvalid`,
  );
  t.is(expected.length, names.length);
  t.deepEqual((await foundNames(database, kind)).sort(), expected.map(({ name }) => name).sort());
  t.is((await queuedActions(database)).length, names.length);
  for (const { remedy } of await openFindings(database, kind)) await database.query(remedy!);
  const after = await run(database, { only });
  t.is(after.cleanup['invalid_indexes_found'], 0);
});

for (const [what, statement] of [
  ['CREATE INDEX CONCURRENTLY', `create index concurrently "we;ird "" name" on ${quotedTable(shop)} (b)`],
  ['REINDEX INDEX CONCURRENTLY', `reindex index concurrently ${quoted(shop)}`],
  ['REINDEX TABLE CONCURRENTLY', `reindex table concurrently ${quotedTable(shop)}`],
  ['DROP INDEX CONCURRENTLY', `drop index concurrently ${quoted(shop)}`],
] as const) {
  for (const mode of ['row exclusive', 'access share'] as const) {
    // A build waits for readers only after its swap, a first build never does.
    if (what === 'CREATE INDEX CONCURRENTLY' && mode === 'access share') continue;
    test(`${what} held up by a transaction with ${mode} lock is nothing to clean up`, async (t) => {
      const database = await createDatabase(t, { template: 'installed' });
      await makeTable(database, shop);
      await database.query(`create index orders_a_key on ${quotedTable(shop)} (a)`);
      const holder = await openTransaction(database, `lock table ${quotedTable(shop)} in ${mode} mode`);
      const build = await startStatement(database, statement);
      await waitUntilBlocked(database, build);
      const invalid = await database.query('select from pg_index where not indisvalid');
      t.true(invalid.length > 0, 'there is an invalid index to fall for');
      const result = await run(database, { only: ['orphaned_indexes', 'invalid_indexes'] });
      t.is(result.cleanup['invalid_indexes_found'], 0);
      t.is(result.cleanup['orphaned_indexes_found'], 0);
      t.regex(JSON.stringify(result.cleanup['invalid_indexes_undecided']), new RegExp(String(build.pid)));
      t.deepEqual(await queuedActions(database), []);
      await holder.end();
      t.is(await build.ended, null);
    });
  }
}

test('vacuum, or a session idle with the same lock, does not hide an invalid index', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, shop);
  const holder = await openTransaction(
    database,
    `lock table ${quotedTable(shop)} in share update exclusive mode`,
  );
  t.is((await run(database, { only })).cleanup['invalid_indexes_found'], 1);
  await holder.end();
});

/** Only a run in the database can share a transaction with what was asked before it. */
const testInDatabase = process.env['MAINT_TEST_HOST'] === 'node' ? test.skip : test;

testInDatabase(
  'a build that began in the same transaction after activity was first read is seen',
  async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    await makeTable(database, shop);
    const runner = await database.client();
    const builder = await database.client();
    await builder.query('select 1');
    await runner.query('begin');
    // The view is frozen from here on to the end of the transaction: the builder is idle in it.
    await runner.query('select count(*) from pg_stat_activity');
    const holder = await openTransaction(database, `lock table ${quotedTable(shop)} in row exclusive mode`);
    const build = builder.query(`create index concurrently "we;ird "" name" on ${quotedTable(shop)} (b)`);
    await waitForRow(database, 'select from pg_index where not indisvalid');
    const { rows } = await runner.query<{ found: number }>(
      `select (maint.run(true, '{invalid_indexes}') #>> '{cleanup,invalid_indexes_found}')::int as found`,
    );
    t.deepEqual(rows, [{ found: 0 }]);
    await runner.query('commit');
    await holder.end();
    await build;
  },
);

test('a finding stays open while its index is being worked on', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, shop);
  await run(database, { only });
  const holder = await openTransaction(database, `lock table ${quotedTable(shop)} in access share mode`);
  const drop = await startStatement(database, `drop index concurrently ${quoted(shop)}`);
  await waitUntilBlocked(database, drop);
  await run(database, { only });
  t.deepEqual(await foundNames(database, kind), ['shop.orders_a_key']);
  await holder.end();
  t.is(await drop.ended, null);
  await run(database, { only });
  t.deepEqual(await foundNames(database, kind), []);
});

test('what must not be dropped is reported with the reason and not queued', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database, shop);
  await database.query(`truncate ${quotedTable(shop)}`);
  await database.query(`alter table ${quotedTable(shop)} alter a set not null`);
  await database.query(`create unique index orders_a_key on ${quotedTable(shop)} (a)`);
  await database.query(`alter table ${quotedTable(shop)} replica identity using index orders_a_key`);
  await database.query(`create index orders_b on ${quotedTable(shop)} (b)`);
  await database.query(`alter table ${quotedTable(shop)} cluster on orders_b`);
  await database.query(
    `update pg_index set indisvalid = false where indexrelid in ('shop.orders_a_key'::regclass, 'shop.orders_b'::regclass)`,
  );
  await run(database, { only });
  const findings = await openFindings(database, kind);
  t.deepEqual(
    findings.map(({ object_name, detail }) => [object_name, typeof detail['kept_because']]),
    [
      ['orders_a_key', 'string'],
      ['orders_b', 'string'],
    ],
  );
  t.deepEqual(await queuedActions(database), []);
  for (const { remedy } of findings) await database.query(remedy!);
  t.is((await run(database, { only })).cleanup['invalid_indexes_found'], 0);
});

test('auto_cleanup can be off for one schema, and the feature for all', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, shop);
  await makeInvalidIndex(database, { ...shop, schema: 'kept' });
  await database.query(
    `select maint.configure('features.invalid_index_cleanup.auto_cleanup', 'false', 'schema:kept')`,
  );
  await run(database, { only });
  t.deepEqual(await foundNames(database, kind), ['kept.orders_a_key', 'shop.orders_a_key']);
  t.deepEqual(await queuedActions(database), ['drop_index shop.orders_a_key']);
  await database.query(`select maint.configure('features.invalid_index_cleanup.enabled', 'false')`);
  const result = await run(database, { only });
  t.is(result.steps['invalid_indexes']!.reason, 'disabled');
  t.is(result.cleanup['invalid_indexes_found'], null, 'unknown, not zero');
  t.is((await foundNames(database, kind)).length, 2, 'what was not looked at stays open');
});

test('an index of another database may have the same oid: what is built there is no work here', async (t) => {
  const [here, there] = [
    await createDatabase(t, { template: 'installed' }),
    await createDatabase(t, { template: 'installed' }),
  ];
  await makeTable(there, shop);
  const writer = await openTransaction(there, `insert into ${quotedTable(shop)} values (3, 'w')`);
  const build = await startStatement(there, `create index concurrently on ${quotedTable(shop)} (a)`);
  await waitUntilBlocked(there, build);
  const pidsIn = async (database: TestDatabase): Promise<(number | null)[]> => {
    const working = await runAsync(workInProgress(), connectionHost(await database.client()));
    return [...working.values()];
  };
  t.true((await pidsIn(there)).includes(build.pid));
  t.false((await pidsIn(here)).includes(build.pid));
  await writer.end();
  t.is(await build.ended, null);
});
