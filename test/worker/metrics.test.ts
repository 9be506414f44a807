import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { repository } from '../../build/paths.ts';
import { startMetricsServer } from '../../src/worker/metrics-server.ts';
import { createDatabase } from '../support/database.ts';
import { run, waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';

test('the view has one row a gauge and labels, in units of Prometheus', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const before = await database.query<{ name: string }>('select name from maint.metrics');
  t.false(before.some(({ name }) => name === 'pg_maint_last_run_timestamp_seconds'));
  await database.query('create table t (a int, b int); create index on t (a); create index on t (a, b)');
  await run(database);
  const rows = await database.query<{ name: string; labels: Record<string, string>; value: number }>(
    'select name, labels, value from maint.metrics',
  );
  for (const { name, value } of rows) {
    t.regex(name, /^pg_maint_[a-z_]+$/);
    t.true(Number.isFinite(value), name);
  }
  t.is(new Set(rows.map(({ name, labels }) => name + JSON.stringify(labels))).size, rows.length);
  const at = rows.find(({ name }) => name === 'pg_maint_last_run_timestamp_seconds')?.value ?? 0;
  t.true(Math.abs(Date.now() / 1000 - at) < 300);
  const redundant = rows.find(({ labels }) => labels['kind'] === 'index.redundant');
  t.like(redundant, { name: 'pg_maint_findings_open_by_kind', value: 1 });
});

test('the dashboard asks for gauges that there are, by labels that they have', (t) => {
  const dashboard = readFileSync(join(repository, 'docs/grafana.json'), 'utf8');
  const view = readFileSync(join(repository, 'sql/views/metrics.sql'), 'utf8');
  const asked = new Set(dashboard.match(/pg_maint_[a-z_]+/g));
  t.true(asked.size > 10);
  for (const name of asked) t.true(name === 'pg_maint_up' || view.includes(`'${name}'`), name);
  for (const [, label = ''] of dashboard.matchAll(/\{\{(\w+)\}\}/g))
    t.true(label === 'database' || view.includes(`'${label}'`), label);
});

test('Prometheus text, health and readiness over HTTP', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const log: string[] = [];
  const server = await startMetricsServer({
    targets: new Set([database.url, 'host=127.0.0.1 port=1 dbname=gone']),
    port: 0,
    host: '127.0.0.1',
    log: (line) => log.push(line),
  });
  t.teardown(() => server.close());
  const get = async (path: string, method = 'GET'): Promise<[number, string, string]> => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return [response.status, await response.text(), response.headers.get('content-type') ?? ''];
  };
  const [status, text, type] = await get('/metrics');
  t.is(status, 200);
  t.regex(type, /^text\/plain; version=0\.0\.4/);
  t.regex(text, /^# HELP pg_maint_info What is installed; always 1\.$/m);
  t.regex(text, /^# TYPE pg_maint_info gauge$/m);
  t.regex(text, new RegExp(`^pg_maint_up{server="[^"]+",database="${database.name}"} 1$`, 'm'));
  t.regex(text, /^pg_maint_up{(database|server)="",(database|server)=""} 0$/m);
  t.regex(text, /^pg_maint_findings_open{severity="critical",server="[^"]+",database="test_\w+"} 0$/m);
  t.regex(text, /^process_cpu_seconds_total /m);
  t.deepEqual((await get('/healthz')).slice(0, 2), [200, 'ok\n']);
  t.is((await get('/nonsense'))[0], 404);
  t.is((await get('/metrics', 'POST'))[0], 405);
  const [ready, why] = await get('/readyz');
  t.is(ready, 503);
  t.regex(why, /no word of this worker[^]*ECONNREFUSED/);
  t.deepEqual(log, []);
});

test('ready when the worker has reported; a lost connection is made anew', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const server = await startMetricsServer({
    targets: new Set([database.url]),
    port: 0,
    host: '127.0.0.1',
    log: () => undefined,
  });
  t.teardown(() => server.close());
  const status = async (path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${server.port}${path}`)).status;
  t.is(await status('/readyz'), 503);
  startWorker(t, database);
  await waitForRow(database, 'select from maint.worker');
  t.is(await status('/readyz'), 200);
  await database.query(`select pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity as a
    where a.datname = current_database() and a.query like '%maint.metrics%' and a.pid <> pg_backend_pid()`);
  // The one that finds the connection gone says so, the next one has another.
  await status('/readyz');
  t.is(await status('/readyz'), 200);
});

test('a port that is taken ends the command with what to do', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const options = { targets: new Set([database.url]), host: '127.0.0.1', log: () => undefined };
  const server = await startMetricsServer({ ...options, port: 0 });
  t.teardown(() => server.close());
  await t.throwsAsync(startMetricsServer({ ...options, port: server.port }), { code: 'EADDRINUSE' });
});
