/**
 * Every step on a growing catalog: the cost of an index must not grow with the number of indexes. And what the host takes
 * in memory and adds in time where the catalog is large.
 */
import type pg from 'pg';
import type { Bench } from './support/bench.ts';
import { growCatalog, indexesPerTable } from './support/catalog.ts';
import { steps } from '../src/steps/index.ts';
import { createDatabase, requireSuccess, rolledBack, runMaintenance } from './support/database.ts';
import type { BenchDatabase } from './support/database.ts';
import { memoryLimitThatSuffices, privateMemoryOf } from './support/memory.ts';
import { aim, milliseconds, ratio, say, table } from './support/print.ts';
import { loadReplay, queriesOf, record, replayOverConnection, resetRunNumber } from './support/replay.ts';
import { processorTime } from './support/processor.ts';
import { inTurn, least } from './support/statistics.ts';

const sizes = [1000, 5000, 25_000] as const;
/** Runs are repeated as often as fits into this time, at most so many times. */
const repeatFor = 10_000;
const mostRounds = 3;
/** Sorting and deeper B-trees are allowed this much over a straight line from 5,000 to 25,000 indexes. */
const mayGrow = 1.5;
const hostMayTake = 1.5;

/** Milliseconds of each step and of the whole run, by what the table calls it. */
type Times = Map<string, number>;

interface Measured {
  indexes: number;
  first: Times;
  again: Times;
  failures: Failure[];
}

interface Failure {
  name: string;
  number: number | null;
  status: string;
}

const whole = 'the whole run';

const callOf = (only: readonly number[]): string => `force => true, "only" => '{${only.join(',')}}'`;

/** Each step in a run of its own, and all in one. */
async function measureRuns(client: pg.Client, failures: Failure[]): Promise<Times> {
  const all = new Map<string, number[]>();
  const measure = async (name: string, number: number | null, args: string): Promise<void> => {
    const time = await rolledBack(client, () =>
      processorTime(client, async () => {
        const result = await runMaintenance(client, args);
        const { status } = result;
        if (status !== 'success') failures.push({ name: name.trim(), number, status });
      }),
    );
    all.set(name, [...(all.get(name) ?? []), time]);
  };
  const started = performance.now();
  for (let round = 0; round < mostRounds && performance.now() - started < repeatFor; round += 1) {
    for (const { number, name } of steps) {
      await measure(`${String(number).padStart(2)} ${name}`, number, callOf([number]));
    }
    await measure(whole, null, 'force => true');
  }
  return new Map([...all].map(([name, times]) => [name, least(times)]));
}

async function measureGrowth(database: BenchDatabase): Promise<Measured[]> {
  const client = await database.connect();
  const measured: Measured[] = [];
  let tables = 0;
  for (const indexes of sizes) {
    await growCatalog(client, tables, indexes / indexesPerTable);
    tables = indexes / indexesPerTable;
    // In a session of its own, without what the server caches about the objects that were just made.
    const session = await database.connect();
    const failures: Failure[] = [];
    // The start of the engine is what bench call measures.
    await rolledBack(session, () => runMaintenance(session, callOf([0])));
    const first = await measureRuns(session, failures);
    await runMaintenance(session);
    const again = await measureRuns(session, failures);
    measured.push({ indexes, first, again, failures });
    await session.end();
  }
  return measured;
}

/** How much more an index costs at the largest size than at the one before; null where the times are too short to tell. */
function growthOf(perIndex: readonly number[]): number | null {
  const [, middle = 0, large = 0] = perIndex;
  // Below fifty milliseconds in all, what any run costs and chance say more than the step.
  return large * sizes[2] < 50 ? null : large / Math.max(middle, 1 / sizes[1]);
}

function printGrowth(measured: readonly Measured[]): void {
  const aims: (() => void)[] = [];
  for (const [when, title] of [
    ['first', 'the first run'],
    ['again', 'a run that finds what the last one found'],
  ] as const) {
    say(`${title}: processor seconds per 1,000 indexes`);
    const names = [...(measured[0]?.[when].keys() ?? [])].sort();
    table(
      ['', ...measured.map(({ indexes }) => `at ${indexes.toLocaleString('en')}`), '25,000 : 5,000'],
      names.map((name) => {
        const perIndex = measured.map((each) => (each[when].get(name) ?? 0) / each.indexes);
        const growth = growthOf(perIndex);
        if (growth !== null && (growth > mayGrow || name === whole)) {
          aims.push(() => {
            aim(`${title}, ${name.trim()}: linear within ${mayGrow}`, growth <= mayGrow);
          });
        }
        return [name, ...perIndex.map((ms) => ms.toFixed(4)), growth === null ? '' : ratio(growth)];
      }),
    );
    say();
  }
  for (const print of aims) print();
  for (const { indexes, failures } of measured) {
    for (const text of new Set(failures.map(({ name, status }) => `${name} is ${status}`))) {
      aim(`at ${indexes.toLocaleString('en')} indexes ${text}`, false);
    }
  }
}

async function measureHost(database: BenchDatabase, only: readonly number[]): Promise<void> {
  const client = await database.connect();
  const recording = await record(client, only);
  await loadReplay(client, recording);
  const onReset = async (work: () => Promise<unknown>): Promise<number> => {
    await resetRunNumber(client, recording);
    return await rolledBack(client, () => processorTime(client, work));
  };
  let locks = 0;
  const times = await inTurn(1, false, {
    run: () =>
      onReset(async () => {
        requireSuccess(await runMaintenance(client, callOf(only)));
      }),
    server: () => onReset(() => client.query('select pg_temp.replay()')),
    connection: () => onReset(() => replayOverConnection(client, recording)),
  });
  await rolledBack(client, async () => {
    await runMaintenance(client, callOf(only));
    const { rows } = await client.query<{ locks: number }>(
      'select count(*)::int as locks from pg_locks where pid = pg_backend_pid() and not fastpath',
    );
    locks = rows[0]?.locks ?? 0;
  });
  say(
    `\nat ${sizes[2].toLocaleString('en')} indexes, ${queriesOf(recording).length} queries, processor time of the server process:`,
  );
  const run = least(times.run);
  const plain = { 'over a connection': times.connection, 'by PL/pgSQL in the server': times.server };
  table(
    ['', 'maint.run', 'plain queries', 'ratio'],
    Object.entries(plain).map(([how, ms]) => [
      how,
      milliseconds(run),
      milliseconds(least(ms)),
      ratio(run / least(ms)),
    ]),
  );
  const slowest = [...queriesOf(recording)].sort((a, b) => b.ms - a.ms).slice(0, 5);
  say('\nthe slowest of them');
  table(
    ['', 'time'],
    slowest.map(({ step, ms, text }) => [
      `${step < 0 ? 'run' : `step ${step}`}: ${text.replace(/\s+/g, ' ').trim().slice(0, 80)}`,
      milliseconds(ms),
    ]),
  );
  say();
  for (const [how, ms] of Object.entries(plain)) {
    aim(`the run takes at most ${hostMayTake} times its queries ${how}`, run / least(ms) <= hostMayTake);
  }
  say(`locks held at the end of the run: ${locks}`);
}

async function measureMemory(database: BenchDatabase, only: readonly number[]): Promise<void> {
  const client = await database.connect();
  const grown = await privateMemoryOf(client, () =>
    rolledBack(client, async () => requireSuccess(await runMaintenance(client, callOf(only)))),
  );
  say(
    `private memory of a session during its first run: ${grown.before} MB before, ${grown.peak} MB at most`,
  );
  const { limit, suffices } = await memoryLimitThatSuffices(database, callOf(only));
  aim(
    `maint_v8.memory_limit is ${limit} MB; the run succeeds with ${suffices ?? 'no tried value of'} MB`,
    (suffices ?? Infinity) <= limit,
  );
}

export const catalog: Bench = {
  name: 'catalog',
  title: `all steps on up to ${(sizes[2] / indexesPerTable).toLocaleString('en')} tables with ${sizes[2].toLocaleString('en')} indexes`,
  async measure(server) {
    const database = await createDatabase(server, 'bench_catalog');
    const client = await database.connect();
    // amcheck takes what its budget gives it, however many indexes there are: it would hide all the rest. Its list of
    // indexes is asked for all the same.
    await client.query(`select maint.configure('features.integrity_check.btree_time_budget', '0')`);
    const measured = await measureGrowth(database);
    printGrowth(measured);
    const failed = new Set(measured.flatMap(({ failures }) => failures.map(({ number }) => number)));
    // What does not come to its end has no queries to compare with.
    const only = steps.map(({ number }) => number).filter((number) => !failed.has(number));
    if (only.length < steps.length) say(`from here on only steps ${only.join(', ')}`);
    await measureHost(database, only);
    await measureMemory(database, only);
    await database.drop();
  },
};
