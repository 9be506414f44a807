/** `npm run bench [-- NAME… [--short]]`: measures on a server of its own and prints ratios within this very run. */
import { cpus } from 'node:os';
import { startCluster } from '../build/cluster.ts';
import { bloat } from './bloat.ts';
import { call } from './call.ts';
import { catalog } from './catalog.ts';
import { history } from './history.ts';
import { load } from './load.ts';
import { reindex } from './reindex.ts';
import { stepsAgainstQueries } from './steps.ts';
import type { Bench } from './support/bench.ts';
import { say } from './support/print.ts';
import { worker } from './worker.ts';

const benches: readonly Bench[] = [call, stepsAgainstQueries, catalog, history, load, bloat, reindex, worker];

async function main(words: readonly string[]): Promise<number> {
  const isShort = (word: string): boolean => word === '--short' || word === '--quick';
  const short = words.some(isShort);
  const names = words.filter((word) => !isShort(word));
  const unknown = names.filter((name) => !benches.some((bench) => bench.name === name));
  if (unknown.length > 0) {
    process.stderr.write(
      `no bench "${unknown.join('", "')}"; there are: ${benches.map(({ name }) => name).join(', ')}\n`,
    );
    return 2;
  }
  const chosen = benches.filter(({ name }) => names.length === 0 || names.includes(name));
  // The defaults that a new installation of PostgreSQL has where they matter here: 64 locks for each of 100 sessions.
  const cluster = await startCluster({ ephemeral: true, settings: { max_connections: '100' } });
  try {
    const [cpu] = cpus();
    say(`${cpus().length} × ${cpu?.model ?? 'unknown processor'}`);
    for (const bench of chosen) {
      say(`\n# ${bench.name}: ${bench.title}\n`);
      const started = performance.now();
      await bench.measure(cluster, { short });
      say(`(${((performance.now() - started) / 1000).toFixed(0)} s)`);
    }
  } finally {
    await cluster.stop('immediate');
  }
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
