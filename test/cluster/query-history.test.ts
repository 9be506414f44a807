/** The history of statements over resets, evictions, a restart and a crash, on a server of its own. */
import test from 'ava';
import type pg from 'pg';
import { pgbench } from '../support/workload.ts';
import { crash, eventually, ownCluster, urlOf } from './own-cluster.ts';

async function snapshot(
  client: pg.Client,
): Promise<{ counters_lost: boolean; evictions: number; statements: number }> {
  const { rows } = await client.query<{
    taken: { status: string; counters_lost: boolean; evictions: number; statements: number };
  }>('select maint.take_query_snapshot(clock_timestamp()) as taken');
  const { taken } = rows[0]!;
  if (taken.status !== 'taken') throw new Error(JSON.stringify(taken));
  return taken;
}

const text = 'select note from shop where id = $1';
const script = '\\set id random(1, 100)\nselect note from shop where id = :id;';

async function known(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ calls: number }>(
    'select coalesce(sum(calls), 0)::int as calls from maint.query_history where text = $1',
    [text],
  );
  return rows[0]!.calls;
}

/** What the server counts now. */
async function counted(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ calls: number }>(
    'select coalesce(sum(calls), 0)::int as calls from pg_stat_statements where query = $1',
    [text],
  );
  return rows[0]!.calls;
}

async function nothingBelowZero(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query(
    `select from maint.query_sample where least(calls, total_exec_ms, row_count, shared_blks_hit, shared_blks_read,
      shared_blks_dirtied, shared_blks_written, temp_blks_read, temp_blks_written, blk_read_ms, blk_write_ms, wal_records,
      wal_bytes) < 0`,
  );
  return rows.length === 0;
}

async function shop(client: pg.Client): Promise<void> {
  await client.query(`create extension if not exists pg_stat_statements;
    create table shop (id int primary key, note text); insert into shop select n, 'note' from generate_series(1, 100) as n`);
}

test('resets, of all and of one statement, lose what came before them and double nothing', async (t) => {
  const cluster = await ownCluster(t);
  const client = await cluster.connect();
  await shop(client);
  const url = urlOf(cluster.port());
  const ask = (times: number): Promise<void> => pgbench(t, url, { transactions: times, text: script });
  await snapshot(client);
  await ask(10);
  t.false((await snapshot(client)).counters_lost);
  t.is(await known(client), 10);

  // Of all: 7 calls are lost with it, and 12 come after it, more than before it.
  await ask(7);
  await client.query('select pg_stat_statements_reset()');
  await ask(12);
  t.true((await snapshot(client)).counters_lost);
  t.is(await known(client), 22);

  // Of one statement, with fewer calls afterwards than before.
  await ask(5);
  await client.query(
    'select pg_stat_statements_reset(s.userid, s.dbid, s.queryid) from pg_stat_statements as s where s.query = $1',
    [text],
  );
  await ask(3);
  t.true((await snapshot(client)).counters_lost);
  t.is(await known(client), 25);

  await ask(4);
  t.false((await snapshot(client)).counters_lost);
  t.is(await known(client), 29);
  t.is((await snapshot(client)).statements, 0, 'nothing happened since');
  t.is(await known(client), 29);
  t.true(await nothingBelowZero(client));
});

test('what the server throws out and takes in again is counted once', async (t) => {
  const cluster = await ownCluster(t, { 'pg_stat_statements.max': '100' });
  const client = await cluster.connect();
  await shop(client);
  const url = urlOf(cluster.port());
  const ask = (times: number): Promise<void> => pgbench(t, url, { transactions: times, text: script });
  await ask(1);
  await snapshot(client);
  const start = await known(client);
  let evictions = 0;
  let asked = 0;
  let thrownOut = false;
  for (let round = 0; round < 3; round += 1) {
    await ask(1);
    asked += 1;
    // Each has a shape of its own and more calls than ours, so that ours is among the first to go.
    for (let other = 0; other < 150; other += 1) {
      const columns = Array.from({ length: other + 1 + round * 150 }, () => 'id').join(', ');
      for (let time = 0; time < 8; time += 1) await client.query(`select ${columns} from shop where id = 1`);
    }
    // So often that it stays until it is looked at.
    await ask(20);
    asked += 20;
    thrownOut ||= (await counted(client)) < start + asked;
    const taken = await snapshot(client);
    evictions += taken.evictions;
    t.true(await nothingBelowZero(client));
    const learned = (await known(client)) - start;
    t.true(learned > 0 && learned <= asked, `${learned} calls known, ${asked} made`);
  }
  t.true(evictions > 0);
  t.true(thrownOut, 'the statement itself was thrown out');
  const { rows } = await client.query('select from maint.query_interval where evictions > 0');
  t.true(rows.length > 0, 'the intervals say so');
});

test('a restart keeps the counters, a crash loses them; neither is counted twice', async (t) => {
  const cluster = await ownCluster(t);
  let client = await cluster.connect();
  await shop(client);
  const ask = (times: number): Promise<void> =>
    pgbench(t, urlOf(cluster.port()), { transactions: times, text: script });
  await snapshot(client);
  await ask(6);
  await snapshot(client);
  await ask(2);
  await cluster.stop();
  await cluster.start();
  client = await cluster.connect();
  await ask(1);
  t.false((await snapshot(client)).counters_lost);
  t.is(await known(client), 9);

  await ask(5);
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  await crash(cluster, rows[0]!.pid);
  client = await eventually(() => cluster.connect());
  await ask(4);
  t.true((await snapshot(client)).counters_lost);
  t.is(await known(client), 13);
  t.true(await nothingBelowZero(client));
});
