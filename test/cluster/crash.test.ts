/** A run cut off by a crash: nothing of it is there afterwards, and the next one runs. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { requireDone } from '../support/maintenance.ts';
import { crash, eventually, ownCluster, runMaintenance } from './own-cluster.ts';
import type { OwnCluster } from './own-cluster.ts';

/** A run that has written its first rows and waits, inside a query of a step, for a lock that is not given up. */
async function runUnderWay(cluster: OwnCluster): Promise<{ pid: number; ended: Promise<unknown> }> {
  const blocker = await cluster.connect();
  await blocker.query(`select maint.configure('operational.maintenance_tasks.lock_timeout', '60000')`);
  await blocker.query('begin');
  await blocker.query('lock table maint.step_log in share mode');
  const client = await cluster.connect();
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const pid = rows[0]!.pid;
  const ended = runMaintenance(client).catch((error: unknown) => error);
  await eventually(async () => {
    const waiting = await blocker.query('select from pg_locks where pid = $1 and not granted', [pid]);
    return waiting.rowCount === 1 ? true : null;
  });
  const written = await blocker.query(
    `select from pg_locks where pid = $1 and granted and relation = 'maint.run_log'::regclass and mode = 'RowExclusiveLock'`,
    [pid],
  );
  if (written.rowCount !== 1) throw new Error('the run has not written anything yet');
  return { pid, ended };
}

async function nothingRemains(t: ExecutionContext, cluster: OwnCluster): Promise<void> {
  const client = await eventually(() => cluster.connect());
  for (const table of ['run_log', 'step_log', 'finding', 'action', 'alert', 'index_check']) {
    t.is((await client.query(`select from maint.${table}`)).rowCount, 0, table);
  }
  const result = await runMaintenance(client);
  // Without amcheck and a worker there is something that nobody examines.
  t.is(result.status, 'partial', JSON.stringify(result));
  for (const name of Object.keys(result.steps)) requireDone(result, name);
  t.is((await client.query(`select from maint.runs where status = 'partial'`)).rowCount, 1);
  t.is((await runMaintenance(client, '')).reason, 'not_due');
}

test('kill -9 of the backend in the middle of a run: the server recovers and nothing is half recorded', async (t) => {
  const cluster = await ownCluster(t);
  const { pid, ended } = await runUnderWay(cluster);
  await crash(cluster, pid);
  t.true((await ended) instanceof Error);
  await nothingRemains(t, cluster);
});

test('kill -9 of the whole server in the middle of a run: the same after the next start', async (t) => {
  const cluster = await ownCluster(t);
  const { ended } = await runUnderWay(cluster);
  process.kill(cluster.pid(), 'SIGKILL');
  t.true((await ended) instanceof Error);
  // The new server does not start before the last process of the old one has let go of its memory.
  await eventually(async () => {
    await cluster.start();
    return true;
  });
  await nothingRemains(t, cluster);
});
