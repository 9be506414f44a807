/** The server's disk is full: everything says so, nothing is lost or done twice, and it goes on once there is room. */
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { command } from '../support/cli.ts';
import { eventually, urlOf } from '../cluster/own-cluster.ts';
import { smallDisk } from './small-disk.ts';
import { keepToTheTest, queueOn, spawnWorkerAt, waitFor } from './worker-process.ts';

test('disk full in a run, a rebuild, a build and in the queue: said, kept and done later', async (t) => {
  t.timeout(300_000);
  const disk = await smallDisk(t);
  if (disk === null) {
    t.pass();
    return;
  }
  const { cluster } = disk;
  const client = await cluster.connect();
  await client.query(keepToTheTest);
  await client.query(`
    create table orders (a int, b text);
    insert into orders select n, repeat(md5(n::text), 4) from generate_series(1, 120000) as n;
    create index rebuilt on orders (b);
    create table filler (a text);
    alter table filler alter column a set storage plain;
    analyze orders; checkpoint`);
  const rebuild = await queueOn(client, 'reindex_index', 'orders', 'rebuilt');
  const build = await queueOn(client, 'create_index', 'orders', 'built');
  const worker = spawnWorkerAt(t, urlOf(cluster.port()));
  // Its safeguard has found enough room by then.
  await waitFor(client, 'select from maint.action where action_id = $1 and intent is not null', [rebuild]);
  // What a rebuild that failed gives back is taken as well; the pages of rows that were rolled back stay.
  await eventually(async () => {
    disk.fill();
    const full = await client
      .query('insert into filler select repeat(md5(n::text), 60) from generate_series(1, 100000) as n')
      .catch((error: unknown) => error);
    return (full as { code?: string }).code === '53100' ? full : null;
  });
  const answer = await eventually(async () => {
    disk.fill();
    const tried = await command('run', urlOf(cluster.port()), '--force');
    return /No space left/.test(tried.out + tried.error) ? tried : null;
  });
  t.not(answer.code, 0, 'a run that could not write is no success');
  const second = spawnWorkerAt(t, urlOf(cluster.port()));
  // Long enough for each to write: what it meets first, an action, a chore or the queue, is chance.
  await sleep(3_000);
  t.is(worker.child.exitCode, null, worker.log());
  t.is(second.child.exitCode, null, second.log());
  disk.free();
  await client.query('truncate filler');
  const again = await cluster.connect();
  const states = async (): Promise<{ status: string; outcome: string | null }[]> =>
    (
      await again.query<{ status: string; outcome: string | null }>(
        'select status, outcome from maint.action where action_id in ($1, $2) order by action_id',
        [rebuild, build],
      )
    ).rows;
  // On a busy machine they have waited for long, and wait half as long again before the next attempt: then they are queued still.
  await eventually(
    async () => ((await states()).every(({ status }) => status === 'succeeded') ? true : null),
    500,
    30_000,
  ).catch(() => undefined);
  const ended = await states();
  t.is(ended.length, 2, 'none is lost');
  for (const { status, outcome } of ended)
    if (status === 'failed') t.regex(outcome ?? '', /No space left/);
    else t.true(['succeeded', 'queued', 'running'].includes(status), status);
  if (ended.every(({ status }) => status === 'succeeded'))
    t.deepEqual((await again.query('select from pg_index where not indisvalid')).rows, []);
});
