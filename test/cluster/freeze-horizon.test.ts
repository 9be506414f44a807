/** Step 1, transaction-id age: what keeps vacuum from freezing is named, and its remedy comes first. */
import test from 'ava';
import { ownCluster } from './own-cluster.ts';
import { databaseOf } from '../support/database.ts';
import { openFindings, run } from '../support/maintenance.ts';

test('an orphaned temporary table is dropped, not vacuumed; a prepared transaction is named as what holds the horizon', async (t) => {
  const cluster = await ownCluster(t, { autovacuum: 'off', max_prepared_transactions: '5' });
  const victim = await cluster.connect();
  victim.on('error', () => undefined);
  await victim.query('create temporary table "Orphan;" (a int)');
  const { rows } = await victim.query<{ pid: number; name: string }>(
    `select pg_backend_pid() as pid, format('%I.%I', relnamespace::regnamespace::text, relname) as name
     from pg_class where relname = 'Orphan;'`,
  );
  const { pid, name } = rows[0]!;
  process.kill(pid, 'SIGKILL');
  const client = await (async () => {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      try {
        return await cluster.connect();
      } catch {
        // The server recovers.
      }
    }
  })();
  const database = databaseOf(client);
  const age = async (): Promise<void> => {
    for (const [catalog, column, condition] of [
      ['pg_class', 'relfrozenxid', `relname = 'Orphan;'`],
      ['pg_database', 'datfrozenxid', 'datname = current_database()'],
    ]) {
      await client.query(
        `update ${catalog} set ${column} = ((pg_current_xact_id()::text::bigint - 1300000000 + 4294967296) % 4294967296)::text::xid
         where ${condition}`,
      );
    }
  };
  await age();
  await client.query('begin');
  await client.query('create table held (a int)');
  await client.query(`prepare transaction 'for; ever'`);
  await client.query('checkpoint');

  await run(database, { only: ['integrity_check'] });
  const [finding] = await openFindings(database, 'integrity.transaction_id_age');
  t.is(finding!.remedy, `drop table ${name};`);
  t.regex(finding!.summary, /whose session is gone/);
  const holders = finding!.detail['holders'] as { what: string; name: string }[];
  t.is(holders[0]!.what, 'prepared transaction');
  t.is(holders[0]!.name, 'for; ever');
  await client.query(finding!.remedy!);
  await client.query(`rollback prepared 'for; ever'`);
  await run(database, { only: ['integrity_check'] });
  const [left] = await openFindings(database, 'integrity.transaction_id_age');
  t.regex(left!.remedy!, /^vacuum \(freeze, verbose\) /);
  await client.query(left!.remedy!);
  await run(database, { only: ['integrity_check'] });
  t.deepEqual(await openFindings(database, 'integrity.transaction_id_age'), []);
});
