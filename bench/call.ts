/** What a call of maint.run costs when there is little or nothing to do: in a new session, and in a warm one. */
import { join } from 'node:path';
import type pg from 'pg';
import { startCluster } from '../build/cluster.ts';
import type { Bench } from './support/bench.ts';
import { createDatabase, requireSuccess, rolledBack, runMaintenance } from './support/database.ts';
import type { BenchDatabase, RunResult, Server } from './support/database.ts';
import { aim, milliseconds, ratio, say, table } from './support/print.ts';
import { processorTime, processorTimeSoFar } from './support/processor.ts';
import { median, p90, timed } from './support/statistics.ts';

const newSessions = 25;
const warmCalls = 100;
const firstCallAim = 100;

interface Way {
  title: string;
  args: string;
  /** Throws where the call did not do what its line of the table says. */
  check(result: RunResult): void;
}

const nothingDue: Way = {
  title: 'nothing due',
  args: '',
  check({ status, reason }) {
    if (status !== 'skipped' || reason !== 'not_due') throw new Error(`${status}, ${reason ?? ''}`);
  },
};
/** The engine starts only where there is a step to run; this one asks a single query. */
const oneStep: Way = {
  title: 'step 0 alone',
  args: `force => true, "only" => '{0}'`,
  check: requireSuccess,
};
const fourSteps: Way = {
  title: 'steps 0 to 3',
  args: `force => true, "only" => '{0,1,2,3}'`,
  check: requireSuccess,
};

const ways: readonly Way[] = [nothingDue, oneStep, fourSteps];

/** Milliseconds on the wall, and of a processor for the server process. */
interface Cost {
  wall: number;
  processor: number;
}

async function costOf(client: pg.Client, work: () => Promise<unknown>): Promise<Cost> {
  let wall = 0;
  const processor = await processorTime(client, async () => {
    wall = await timed(work);
  });
  return { wall, processor };
}

async function costOfCall(client: pg.Client, { args, check }: Way): Promise<Cost> {
  return await rolledBack(client, () =>
    costOf(client, async () => {
      check(await runMaintenance(client, args));
    }),
  );
}

/** Each call in a session of its own; `opening` gets the costs of opening them. */
async function firstCalls(database: BenchDatabase, way: Way, opening: Cost[]): Promise<Cost[]> {
  const costs: Cost[] = [];
  for (let i = 0; i < newSessions; i += 1) {
    const started = performance.now();
    const client = await database.connect();
    const wall = performance.now() - started;
    opening.push({ wall, processor: await processorTimeSoFar(client) });
    costs.push(await costOfCall(client, way));
    await client.end();
  }
  return costs;
}

async function repeated(work: () => Promise<Cost>): Promise<Cost[]> {
  const all: Cost[] = [];
  for (let i = 0; i < warmCalls; i += 1) all.push(await work());
  return all;
}

/** A server that has loaded the engine's library before it makes sessions, as shared_preload_libraries can. */
async function firstCallsPreloaded(): Promise<Cost[]> {
  const directory = join('/tmp', `pg-maint-bench-${process.pid}`);
  const preload = `pg_stat_statements,${join(directory, 'lib', 'maint_v8.so')}`;
  const cluster = await startCluster({
    ephemeral: true,
    directory,
    settings: { shared_preload_libraries: preload },
  });
  try {
    const database = await createDatabase(cluster, 'bench_call');
    requireSuccess(await runMaintenance(await database.connect()));
    const costs = await firstCalls(database, oneStep, []);
    await database.drop();
    return costs;
  } finally {
    await cluster.stop('immediate');
  }
}

async function measure(server: Server): Promise<void> {
  const database = await createDatabase(server, 'bench_call');
  const warm = await database.connect();
  requireSuccess(await runMaintenance(warm));
  const opening: Cost[] = [];
  const first = new Map<Way, Cost[]>();
  for (const way of ways) first.set(way, await firstCalls(database, way, opening));
  const rows: [title: string, costs: Cost[]][] = [
    ['select 1', await repeated(() => costOf(warm, () => warm.query('select 1')))],
    ['opening a session', opening],
    ...[...first].map(([{ title }, costs]): [string, Cost[]] => [`first call in a session, ${title}`, costs]),
    [`the same, ${oneStep.title}, with the engine preloaded`, await firstCallsPreloaded()],
  ];
  for (const way of ways) {
    rows.push([`warm call, ${way.title}`, await repeated(() => costOfCall(warm, way))]);
  }
  await database.drop();

  const walls = (costs: readonly Cost[]): number[] => costs.map(({ wall }) => wall);
  const processors = (costs: readonly Cost[]): number[] => costs.map(({ processor }) => processor);
  table(
    ['', 'median', '90 % below', 'on a processor', '× opening'],
    rows.map(([title, costs]) => [
      title,
      milliseconds(median(walls(costs))),
      milliseconds(p90(walls(costs))),
      milliseconds(median(processors(costs))),
      ratio(median(processors(costs)) / median(processors(opening))),
    ]),
  );
  say();
  for (const way of [nothingDue, oneStep]) {
    const costs = first.get(way) ?? [];
    aim(
      `first call in a session, ${way.title}: under ${firstCallAim} ms on a processor`,
      median(processors(costs)) < firstCallAim,
    );
  }
}

export const call: Bench = {
  name: 'call',
  title: 'one call of maint.run in a database without tables',
  measure,
};
