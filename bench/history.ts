/** Snapshots of pg_stat_statements: what one costs beside a plain select, and how much room a day of them takes. */
import type pg from 'pg';
import type { Bench } from './support/bench.ts';
import { createDatabase, rolledBack } from './support/database.ts';
import { processorTime } from './support/processor.ts';
import { aim, milliseconds, ratio, say, table } from './support/print.ts';
import { inTurn, least } from './support/statistics.ts';

const statements = 5000;
const snapshotMayTakeMs = 150;
const rounds = 7;

const dayStatements = 2000;
const minutes = 24 * 60;
/** Long enough that intervals are rolled up. */
const shortMinutes = 4 * 60;
const dayMayTakeMegabytes = 100;

const columns = 18;

/** Texts of different shapes: triples of columns. */
function texts(count: number): string[] {
  return Array.from({ length: count }, (_, place) => {
    const column = (digit: number): string => `c${Math.floor(place / columns ** digit) % columns}`;
    return `select ${column(0)}, ${column(1)}, ${column(2)} from wide`;
  });
}

async function askAll(client: pg.Client, all: readonly string[]): Promise<void> {
  for (const text of all) await client.query(text);
}

async function makeTable(client: pg.Client): Promise<void> {
  const list = Array.from({ length: columns }, (_, place) => `c${place} int`);
  await client.query(`create table wide (${list.join(', ')})`);
}

const takeSnapshot = 'select maint.take_query_snapshot(pg_catalog.clock_timestamp())';

async function cost(client: pg.Client): Promise<void> {
  await makeTable(client);
  const all = texts(statements);
  await askAll(client, all);
  await client.query(takeSnapshot);
  // Each was called since: the most that a snapshot can have to do.
  await askAll(client, all);
  const times = await inTurn(rounds, true, {
    snapshot: () => rolledBack(client, () => processorTime(client, () => client.query(takeSnapshot))),
    plain: () =>
      processorTime(client, () =>
        client.query('select pg_catalog.count(s.query) from pg_stat_statements as s'),
      ),
  });
  const [snapshot, plain] = [least(times.snapshot), least(times.plain)];
  say(
    `processor time of the server process, the least of ${rounds} rounds; all ${statements} statements were called since`,
  );
  table(
    ['', 'snapshot', 'plain select of pg_stat_statements', 'ratio'],
    [[`${statements} statements`, milliseconds(snapshot), milliseconds(plain), ratio(snapshot / plain)]],
  );
  aim(
    `a snapshot of ${statements} statements takes under ${snapshotMayTakeMs} ms`,
    snapshot < snapshotMayTakeMs,
  );
}

async function megabytes(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ mb: number }>(
    `select (pg_catalog.sum(pg_catalog.pg_total_relation_size(c.oid)) / 1024 / 1024)::float8 as mb
     from pg_catalog.pg_class as c
     where c.relnamespace = 'maint'::regnamespace and c.relkind = 'r' and c.relname ~ '^(query|workload|table)_'`,
  );
  return rows[0]?.mb ?? 0;
}

/** A clock of its own, and counters that are set back instead of calls that are made. Vacuum comes once an hour. */
async function day(client: pg.Client, lasting: number): Promise<void> {
  await askAll(client, texts(dayStatements));
  const at = `pg_catalog.clock_timestamp() - interval '25 hours' + $1 * interval '1 minute'`;
  await client.query('delete from maint.query_history_state');
  await client.query('delete from maint.query_interval');
  await client.query('truncate maint.query_counter');
  let most = 0;
  for (let minute = 0; minute < lasting; minute += 1) {
    await client.query(`select maint.take_query_snapshot(${at})`, [minute]);
    await client.query(
      'update maint.query_counter set calls = calls - 1, total_exec_ms = total_exec_ms * 0.999',
    );
    if (minute % 60 === 59) {
      most = Math.max(most, await megabytes(client));
      await client.query(
        'vacuum maint.query_counter, maint.query_sample, maint.query_interval, maint.query_statement',
      );
    }
  }
  const { rows } = await client.query<{ intervals: number; samples: number }>(
    `select (select pg_catalog.count(*)::int from maint.query_interval) as intervals,
       (select pg_catalog.count(*)::int from maint.query_sample) as samples`,
  );
  say();
  table(
    ['', 'intervals', 'samples', 'most'],
    [
      [
        `${lasting / 60} hours, one snapshot a minute, ${dayStatements} statements`,
        String(rows[0]?.intervals),
        String(rows[0]?.samples),
        `${most.toFixed(1)} MB`,
      ],
    ],
  );
  aim(`it stays under ${dayMayTakeMegabytes} MB`, most < dayMayTakeMegabytes);
}

export const history: Bench = {
  name: 'history',
  title: 'snapshots of pg_stat_statements',
  async measure(server, { short }) {
    const database = await createDatabase(server, 'bench_history');
    const client = await database.connect();
    await cost(client);
    await day(client, short ? shortMinutes : minutes);
    await database.drop();
  },
};
