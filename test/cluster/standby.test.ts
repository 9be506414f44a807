/** pg-maint on a real standby: it was installed on the primary, and here it can't write. */
import test from 'ava';
import { runWorker } from '../../src/worker/worker.ts';
import { runOverConnection } from '../../src/worker/host.ts';
import { ownCluster, runMaintenance } from './own-cluster.ts';
import { startStandby } from './standby-server.ts';

test('on a standby every run is skipped and says why; after a promotion it runs', async (t) => {
  const primary = await ownCluster(t);
  const onPrimary = await primary.connect();
  t.regex((await runMaintenance(onPrimary)).status, /^(success|partial)$/);
  const standby = await startStandby(t, primary);
  t.deepEqual((await standby.query('select pg_is_in_recovery() as standby')).rows, [{ standby: true }]);

  for (const args of [
    '',
    'force => true',
    'dry_run => true',
    `force => true, "only" => '{integrity_check}'`,
  ]) {
    const { status, reason } = await runMaintenance(standby, args);
    t.deepEqual([status, reason], ['skipped', 'standby'], args);
  }
  const fromNode = await runOverConnection(standby, { force: true });
  t.deepEqual([fromNode['status'], fromNode['reason']], ['skipped', 'standby']);
  t.is((await standby.query('select from maint.runs')).rowCount, 1, "the primary's run can be read here");
  await t.notThrowsAsync(standby.query('select maint.status()'));

  for (const call of [
    'maint.apply(1)',
    'maint.undo(1)',
    'maint.cancel(1)',
    `maint.mute(1, 'reason', 'infinity')`,
    'maint.unmute(1)',
    `maint.accept_gap(1, 'reason', 'infinity')`,
    'maint.unaccept_gap(1)',
    `maint.bypass('actions', 'reason', 'infinity')`,
    `maint.unbypass('actions')`,
    `maint.configure('operational.maintenance_tasks.enabled', 'true')`,
    `maint.reset('operational.maintenance_tasks.enabled')`,
    `maint.schedule('1 hour')`,
    'maint.unschedule()',
  ])
    await t.throwsAsync(standby.query(`select ${call}`), { message: 'this server is a standby' }, call);
  const { rows } = await standby.query<{ port: string; database: string }>(
    `select current_setting('port') as port, current_database() as database`,
  );
  const log: string[] = [];
  const stop = new AbortController();
  const { port, database } = rows[0]!;
  const worker = runWorker({
    urls: [`postgresql://postgres@127.0.0.1:${port}/${database}`],
    signal: stop.signal,
    log: (line) => {
      log.push(line);
      stop.abort();
    },
  });
  await worker;
  t.regex(log.join('\n'), /this server is a standby/);

  await standby.query('select pg_promote(true)');
  t.regex((await runMaintenance(standby)).status, /^(success|partial)$/);
  t.regex((await runMaintenance(onPrimary)).status, /^(success|partial)$/);
});
