/** Step 7 against the truth: what it says of bloated indexes, what pgstatindex would have said, and what REINDEX makes of them. */
import type pg from 'pg';
import { estimateByStatistics } from './bloat/by-statistics.ts';
import { makeCases } from './bloat/cases.ts';
import { askCheckPostgres } from './bloat/check-postgres.ts';
import type { Made } from './bloat/cases.ts';
import type { Bench } from './support/bench.ts';
import { createDatabase } from './support/database.ts';
import { aim, milliseconds, say, table } from './support/print.ts';
import { processorTime } from './support/processor.ts';
import { median, p90, timed } from './support/statistics.ts';

const rowsOfLargest = { full: 1_200_000, short: 60_000 };
/** Each look draws another sample, so that the intervals are tried on many more than there are indexes. */
const looks = 5;
const unchangedIndexes = { full: 2000, short: 200 };

/** Of step 7, in points; the last is what a sample may be off by at the worst. */
const aims = { median: 1, p90: 2.5, worst: 6, milliseconds: 10 };
const nominalCoverage = 0.95;
/** Of some six hundred intervals of indexes that are alike in some respects, so many may miss by chance. */
const coverageMayMiss = 0.03;

interface Case extends Made {
  megabytes: number;
  pages: number;
  estimates: { bloat: number; low: number; high: number; ms: number }[];
  pgstatindex: { bloat: number; ms: number };
  /** Null where it is not installed. */
  checkPostgres: number | null;
  byStatistics: number;
  truth: number;
}

async function pagesOf(client: pg.Client, name: string): Promise<number> {
  const { rows } = await client.query<{ pages: number }>(
    `select (pg_relation_size($1) / 8192)::int as pages`,
    [`bloat.${name}`],
  );
  return rows[0]?.pages ?? 0;
}

interface Row {
  name: string;
  bloat: number;
  low: number;
  high: number;
  ms: number;
}

/** A run that measures every index anew; each has another time, and so another sample. */
async function look(client: pg.Client): Promise<Map<string, Row>> {
  await client.query('delete from maint.index_measurement');
  const { rows: runs } = await client.query<{ status: string }>(
    `select maint.run(true, '{index_health}') ->> 'status' as status`,
  );
  if (runs[0]?.status !== 'success') throw new Error(`the run is ${runs[0]?.status ?? 'missing'}`);
  const { rows } = await client.query<Row>(
    `select index_name as name, bloat_percent::float8 as bloat, bloat_low::float8 as low, bloat_high::float8 as high,
       duration_ms::float8 as ms
     from maint.index_health where schema_name = 'bloat'`,
  );
  return new Map(rows.map((row) => [row.name, row]));
}

/** What is usually made of pgstatindex: the leaf pages as full as the fillfactor says. */
async function byPgstatindex(client: pg.Client, name: string): Promise<Case['pgstatindex']> {
  let bloat = 0;
  const ask = async (): Promise<void> => {
    const { rows } = await client.query<{ bloat: number }>(
      `select 100 * (1 - (1 + s.internal_pages + s.leaf_pages * s.avg_leaf_density / coalesce((
           select o.option_value::float8 from pg_class as c, pg_options_to_table(c.reloptions) as o
           where c.oid = $1::regclass and o.option_name = 'fillfactor'), 90)) / (s.index_size / 8192.0))::float8 as bloat
       from pgstatindex($1::regclass) as s`,
      [`bloat.${name}`],
    );
    bloat = rows[0]?.bloat ?? 0;
  };
  await ask();
  const ms = await timed(ask);
  return { bloat, ms };
}

const points = (value: number): string => value.toFixed(2);
const worst = (values: readonly number[]): number => Math.max(...values);

function printCases(cases: readonly Case[]): void {
  const groups = [...new Set(cases.map(({ churn }) => churn))];
  const errors = (of: readonly Case[]): number[] =>
    of.flatMap(({ estimates, truth }) => estimates.map(({ bloat }) => Math.abs(bloat - truth)));
  const theirs = (of: readonly Case[]): number[] =>
    of.map(({ pgstatindex, truth }) => Math.abs(pgstatindex.bloat - truth));
  say('error against the truth by REINDEX, in points: median, 90 %, worst');
  table(
    ['', 'indexes', 'bloat', 'pg-maint', '', '', 'pgstatindex', '', ''],
    [...groups, null].map((group) => {
      const of = cases.filter(({ churn }) => group === null || churn === group);
      return [
        group ?? 'all',
        String(of.length),
        `${Math.round(Math.min(...of.map(({ truth }) => truth)))} to ${Math.round(worst(of.map(({ truth }) => truth)))} %`,
        ...[median, p90, worst].map((figure) => points(figure(errors(of)))),
        ...[median, p90, worst].map((figure) => points(figure(theirs(of)))),
      ];
    }),
  );
  say('\nthe five that are off by most');
  const off = (each: Case): number => worst(errors([each]));
  table(
    ['', 'MB', 'truth', 'pg-maint', 'pgstatindex'],
    [...cases]
      .sort((one, other) => off(other) - off(one))
      .slice(0, 5)
      .map(({ name, megabytes, truth, estimates, pgstatindex }) => [
        name,
        megabytes.toFixed(0),
        truth.toFixed(1),
        estimates.map(({ bloat }) => bloat.toFixed(1)).join(' '),
        pgstatindex.bloat.toFixed(1),
      ]),
  );
  const times = cases.flatMap(({ estimates }) => estimates.map(({ ms }) => ms));
  const largest = [...cases].sort((one, other) => other.pages - one.pages).slice(0, 5);
  say('\ntime of a measurement, all in memory: median, 90 %, worst; of the five largest indexes');
  table(
    ['', '', '', '', 'largest'],
    [
      [
        'pg-maint',
        ...[median, p90, worst].map((of) => milliseconds(of(times))),
        milliseconds(median(largest.flatMap(({ estimates }) => estimates.map(({ ms }) => ms)))),
      ],
      [
        'pgstatindex',
        ...[median, p90, worst].map((of) => milliseconds(of(cases.map(({ pgstatindex }) => pgstatindex.ms)))),
        milliseconds(median(largest.map(({ pgstatindex }) => pgstatindex.ms))),
      ],
    ],
  );
  const all = errors(cases);
  const covered = cases.flatMap(({ estimates, truth }) =>
    estimates.map(({ low, high }) => low <= truth && truth <= high),
  );
  const share = covered.filter(Boolean).length / covered.length;
  say();
  aim(
    `at least 60 indexes: ${cases.length}, of ${Math.min(...cases.map(({ megabytes }) => megabytes)).toFixed(1)} to ${worst(cases.map(({ megabytes }) => megabytes)).toFixed(0)} MB`,
    cases.length >= 60,
  );
  aim(`median error at most ${aims.median} point: ${points(median(all))}`, median(all) <= aims.median);
  aim(`90 % of errors at most ${aims.p90} points: ${points(p90(all))}`, p90(all) <= aims.p90);
  aim(`worst error at most ${aims.worst} points: ${points(worst(all))}`, worst(all) <= aims.worst);
  aim(
    `${nominalCoverage * 100} % intervals hold the truth: ${(share * 100).toFixed(1)} % of ${covered.length}`,
    share >= nominalCoverage - coverageMayMiss,
  );
  aim(
    `median time at most ${aims.milliseconds} ms an index: ${milliseconds(median(times))}`,
    median(times) <= aims.milliseconds,
  );
}

/** The default of features.index_health.bloat_threshold. */
const threshold = 20;

/** Who is asked to rebuild what: an alarm for an index that is in order costs a rebuild, silence the room. */
function printVerdicts(cases: readonly Case[]): void {
  const bloated = cases.filter(({ truth }) => truth > threshold).length;
  say(`\nabove ${threshold} % or not, of ${cases.length} indexes of which ${bloated} are`);
  const line = (name: string, of: (each: Case) => number | null): string[] => {
    const said = cases.map((each) => ({ truth: each.truth, says: of(each) }));
    if (said.some(({ says }) => says === null))
      return [name, 'not measured here: apt-get install check-postgres'];
    const all = said.map(({ truth, says }) => ({ truth, says: says ?? 0 }));
    return [
      name,
      String(all.filter(({ truth, says }) => truth <= threshold && says > threshold).length),
      String(all.filter(({ truth, says }) => truth > threshold && says <= threshold).length),
      ...[median, p90, worst].map((figure) =>
        points(figure(all.map(({ truth, says }) => Math.abs(says - truth)))),
      ),
    ];
  };
  table(
    ['', 'false alarms', 'missed', 'error: median', '90 %', 'worst'],
    [
      line('pg-maint, a sample of pages', ({ estimates }) => estimates[0]?.bloat ?? null),
      line('pgstattuple, all pages', ({ pgstatindex }) => pgstatindex.bloat),
      line('statistics, column by column', ({ byStatistics }) => byStatistics),
      line('check_postgres, statistics', ({ checkPostgres }) => checkPostgres),
    ],
  );
}

async function measureCases(client: pg.Client, size: number, url: string): Promise<void> {
  const made = await makeCases(client, size, say);
  say();
  await client.query('checkpoint');
  // Warm, and with the engine started.
  await look(client);
  const found: Map<string, Row>[] = [];
  let processor = 0;
  for (let number = 0; number < looks; number += 1) {
    processor += await processorTime(client, async () => {
      found.push(await look(client));
    });
  }
  await client.query('analyze');
  const estimated = await askCheckPostgres(url);
  const byStatistics = await estimateByStatistics(client, 'bloat');
  const cases: Case[] = [];
  for (const each of made) {
    const pages = await pagesOf(client, each.name);
    const pgstatindex = await byPgstatindex(client, each.name);
    await client.query(`reindex index bloat.${each.name}`);
    const after = await pagesOf(client, each.name);
    cases.push({
      ...each,
      pages,
      megabytes: pages / 128,
      pgstatindex,
      checkPostgres: estimated && (100 * (estimated.wasted.get(each.name) ?? 0)) / (pages * 8192),
      byStatistics: byStatistics.get(each.name) ?? 0,
      truth: 100 * (1 - after / pages),
      estimates: found.map((rows) => {
        const row = rows.get(each.name);
        if (row === undefined) throw new Error(`${each.name} was not measured`);
        return row;
      }),
    });
  }
  printCases(cases);
  printVerdicts(cases);
  const each = processor / looks / made.length;
  say(`processor time of a whole run, by the index: ${milliseconds(each)}\n`);
}

async function measureUnchanged(client: pg.Client, indexes: number): Promise<void> {
  await client.query('create schema still');
  for (let number = 0; number < indexes / 100; number += 1) {
    await client.query(`create unlogged table still.t${number} (id int) with (autovacuum_enabled = off)`);
    await client.query(`insert into still.t${number} select generate_series(1, 2000)`);
    await client.query(`do $$ begin
      for i in 1..100 loop execute format('create index on still.t${number} (id)'); end loop; end $$`);
    await client.query(`vacuum analyze still.t${number}`);
  }
  const run = (): Promise<{ measured: number; unchanged: number }> =>
    client
      .query<{ health: { measured: number; unchanged: number } }>(
        `select maint.run(true, '{index_health}') -> 'cleanup' -> 'index_health' as health`,
      )
      .then(({ rows }) => rows[0]?.health ?? { measured: -1, unchanged: -1 });
  const blocks = async (): Promise<number> => {
    await client.query('select pg_stat_force_next_flush()');
    const { rows } = await client.query<{ blocks: number }>(
      `select sum(idx_blks_read + idx_blks_hit)::int as blocks from pg_statio_user_indexes where schemaname = 'still'`,
    );
    return rows[0]?.blocks ?? -1;
  };
  await client.query('select pg_stat_force_next_flush()');
  const first = await run();
  const before = await blocks();
  let second = { measured: -1, unchanged: -1 };
  const time = await processorTime(client, async () => {
    second = await run();
  });
  const read = (await blocks()) - before;
  say(
    `${indexes} more indexes: ${first.measured} measured in the first run; the second one took ${milliseconds(time)} of processor time`,
  );
  aim(
    `a run over ${second.unchanged} unchanged indexes reads none of their pages: ${read}`,
    read === 0 && second.measured === 0 && before > 0,
  );
}

export const bloat: Bench = {
  name: 'bloat',
  title: 'bloat of B-trees of every type of key and kind of churn, against the truth by REINDEX',
  async measure(server, { short }) {
    const database = await createDatabase(server, 'bench_bloat');
    const client = await database.connect();
    await client.query(`select maint.configure('features.index_health.min_size_mb', '0'),
      maint.configure('features.index_health.page_budget', '1000000000'),
      maint.configure('features.index_health.time_budget', '3600000'),
      maint.configure('operational.maintenance_tasks.step_time_budget', '3600')`);
    await measureCases(client, short ? rowsOfLargest.short : rowsOfLargest.full, database.url);
    await measureUnchanged(client, short ? unchangedIndexes.short : unchangedIndexes.full);
    await database.drop();
  },
};
