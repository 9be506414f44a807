/** No connection is left: the worker and the command say so, the worker goes on, and no action is lost. */
import test from 'ava';
import { eventually, ownCluster, urlOf } from '../cluster/own-cluster.ts';
import { command } from '../support/cli.ts';
import { keepToTheTest, queueOn, spawnWorkerAt, waitFor } from './worker-process.ts';

for (const limit of ['database', 'role', 'server'] as const) {
  test(`the connection limit of the ${limit} is reached: said, and done once there is room`, async (t) => {
    t.timeout(90_000);
    const cluster = await ownCluster(t, { max_connections: '12', superuser_reserved_connections: '0' });
    const client = await cluster.connect();
    await client.query(keepToTheTest);
    await client.query(`create table orders (a int); create index waits on orders (a)`);
    // A superuser passes limits of databases and roles; one who may act as the owner is served instead, and may not drop others' indexes.
    if (limit !== 'server')
      await client.query(
        'create role served login in role maint_owner; grant connect on database shop to served',
      );
    const user = limit === 'server' ? 'postgres' : 'served';
    const url = urlOf(cluster.port()).replace('postgres@', `${user}@`);
    const id = await queueOn(client, 'drop_index', 'orders', 'waits');
    const held = [];
    const limited = { database: 'database shop', role: 'role served', server: null }[limit];
    if (limited !== null) await client.query(`alter ${limited} connection limit 0`);
    else {
      for (;;) {
        const one = await cluster.connect().catch(() => null);
        if (one === null) break;
        held.push(one);
      }
    }
    const answer = await command('run', url);
    t.is(answer.code, 2);
    t.regex(answer.error, /too many (clients|connections)/);
    t.notRegex(answer.error, /check user, password/);
    const worker = spawnWorkerAt(t, url);
    await eventually(() => Promise.resolve(/too many .*; trying again in/.test(worker.log()) ? true : null));
    t.is(worker.child.exitCode, null);
    t.like(
      (await client.query('select status, attempts from maint.action where action_id = $1', [id])).rows[0],
      {
        status: 'queued',
        attempts: 0,
      },
    );
    if (limited !== null) await client.query(`alter ${limited} connection limit -1`);
    await Promise.all(held.map((one) => one.end()));
    const { status } = await waitFor<{ status: string }>(
      client,
      `select status from maint.action where action_id = $1 and finished_at is not null`,
      [id],
    );
    t.is(status, limit === 'server' ? 'succeeded' : 'skipped', worker.log());
    t.deepEqual(await worker.stop(), [0, null]);
  });
}
