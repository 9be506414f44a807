import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { deliverAlerts } from '../../src/worker/webhook.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { run, waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';

interface Received {
  headers: IncomingHttpHeaders;
  body: { text: string; alert: { alert_id: number; message: string; severity: string } };
}

interface Receiver {
  url: string;
  received: Received[];
  /** What it answers from now on. */
  answer: { status: number; headers?: Record<string, string> };
}

async function receiver(t: ExecutionContext): Promise<Receiver> {
  const state: Receiver = { url: '', received: [], answer: { status: 204 } };
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (part: Buffer) => (text += part.toString()));
    request.on('end', () => {
      state.received.push({ headers: request.headers, body: JSON.parse(text) as Received['body'] });
      response.writeHead(state.answer.status, state.answer.headers).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return state;
}

async function alert(database: TestDatabase, severity: string, message: string, age = '0 s'): Promise<void> {
  await database.query(
    `with r as (insert into maint.run_log (status, started_at, forced, dry_run, engine, version)
       values ('success', now() - $3::interval, true, false, 'worker', '0') returning run_id, started_at)
     insert into maint.alert (run_id, step_number, severity, message, created_at)
     select run_id, 3, $1, $2, started_at from r`,
    [severity, message, age],
  );
}

async function deliver(database: TestDatabase, url: string, attempts = 10): Promise<string[]> {
  const client = await database.client();
  return await deliverAlerts(client, {
    url,
    minSeverity: 'warning',
    repeatHours: 24,
    attempts,
    authorization: 'Bearer secret',
    signal: new AbortController().signal,
  });
}

const states = async (database: TestDatabase): Promise<string[]> =>
  (
    await database.query<{ state: string }>(
      `select a.message || ' ' || d.status || ' ' || d.attempts as state from maint.alert_delivery as d
       join maint.alert as a using (alert_id) order by alert_id`,
    )
  ).map(({ state }) => state);

test('a run notifies at its commit, and a dry run does not', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const listener = await database.client();
  const heard: string[] = [];
  listener.on('notification', ({ channel, payload }) => heard.push(`${channel} ${payload ?? ''}`));
  await listener.query('listen maint_alert');
  await database.query(`select maint.bypass('features.index_cleanup', 'moving', now() + interval '1 hour')`);
  await run(database, { only: ['bypass_status'], dryRun: true });
  await run(database, { only: ['bypass_status'] });
  await listener.query('select 1');
  t.is(heard.length, 1);
  const [channel, payload] = [heard[0]!.slice(0, 11), heard[0]!.slice(12)];
  t.is(channel, 'maint_alert');
  t.like(JSON.parse(payload), { database: database.name, step: 0, severity: 'warning' });
  await database.query(`select maint.configure('operational.alerts.notify', 'false')`);
  await run(database, { only: ['bypass_status'] });
  await listener.query('select 1');
  t.is(heard.length, 1);
});

test('a notification never reaches the 8000 bytes that the server refuses', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const listener = await database.client();
  const heard: string[] = [];
  listener.on('notification', ({ payload }) => heard.push(payload ?? ''));
  await listener.query('listen maint_alert');
  for (const message of ['\u0001'.repeat(9000), '🐘'.repeat(5000), '"\\'.repeat(4000), 'short']) {
    await alert(database, 'warning', message);
    await database.query(`update maint.alert set detail = jsonb_build_object('long', repeat('x', 8000))`);
    await database.query('select maint.announce_alert(max(alert_id)) from maint.alert');
  }
  await listener.query('select 1');
  t.is(heard.length, 4);
  for (const payload of heard) {
    t.true(Buffer.byteLength(payload) < 8000);
    t.like(JSON.parse(payload), { severity: 'warning' });
  }
  t.like(JSON.parse(heard[3]!), { message: 'short', detail: undefined });
});

test('posts severe alerts once, says who and what, and says the same again only after a day', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const hook = await receiver(t);
  await alert(database, 'warning', 'from last week', '8 days');
  await alert(database, 'info', 'by the way');
  await alert(database, 'critical', 'corrupt');
  await alert(database, 'critical', 'corrupt');
  t.deepEqual(await deliver(database, hook.url), []);
  t.is(hook.received.length, 1);
  const [post] = hook.received;
  t.like(post?.body, { text: `pg-maint, database ${database.name}: critical: corrupt` });
  t.like(post?.headers, { authorization: 'Bearer secret', 'content-type': 'application/json' });
  t.regex(String(post?.headers['idempotency-key']), /^pg-maint-test_\w+-\d+$/);
  await alert(database, 'critical', 'corrupt');
  await alert(database, 'warning', 'another');
  await deliver(database, hook.url);
  t.deepEqual(
    hook.received.map(({ body }) => body.alert.message),
    ['corrupt', 'another'],
  );
  t.deepEqual(await states(database), [
    'corrupt delivered 1',
    'corrupt repeated 0',
    'corrupt repeated 0',
    'another delivered 1',
  ]);
});

test('tries again later where the receiver is down, and gives up where it refuses', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const hook = await receiver(t);
  const now = async (): Promise<unknown> =>
    await database.query('update maint.alert_delivery set next_attempt_at = now()');
  await alert(database, 'warning', 'one');
  await alert(database, 'warning', 'two');
  hook.answer = { status: 503, headers: { 'retry-after': '120' } };
  t.deepEqual(await deliver(database, hook.url), []);
  t.is(hook.received.length, 1, 'the second one waits: the receiver is down');
  t.deepEqual(await states(database), ['one waiting 1', 'two waiting 0']);
  const [wait] = await database.query<{ seconds: number; error: string }>(
    `select extract(epoch from next_attempt_at - now())::int as seconds, error from maint.alert_delivery
     where attempts = 1`,
  );
  t.true(wait!.seconds > 100 && wait!.seconds <= 121);
  t.regex(wait!.error, /503 Service Unavailable/);
  await now();
  await deliver(database, 'http://127.0.0.1:1/');
  t.deepEqual(await states(database), ['one waiting 2', 'two waiting 0']);
  await now();
  hook.answer = { status: 410 };
  const lost = await deliver(database, hook.url);
  t.is(lost.length, 2);
  t.regex(lost[0]!, /could not be posted: it answered 410/);
  await alert(database, 'warning', 'three');
  hook.answer = { status: 500 };
  t.is((await deliver(database, hook.url, 1)).length, 1);
  t.deepEqual(await states(database), ['one failed 3', 'two failed 1', 'three failed 1']);
});

test('a worker posts what runs raise, once it is told where', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const hook = await receiver(t);
  const worker = startWorker(t, database);
  await waitForRow(database, 'select from maint.worker');
  await database.query('select maint.configure($1, $2::jsonb)', [
    'operational.alerts.webhook_url',
    JSON.stringify(hook.url),
  ]);
  await database.query(`select maint.bypass('features.index_cleanup', 'moving', now() + interval '1 hour')`);
  await run(database, { only: ['bypass_status'] });
  await waitForRow(database, `select from maint.alert_delivery where status = 'delivered'`);
  t.regex(hook.received[0]!.body.text, /bypass/);
  await worker.stop();
});
