/** The command `pg-maint worker`. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { trustOption } from './commands/command.ts';
import { messageOf, CouldNotRun } from './errors.ts';
import type { MetricsServer } from './metrics-server.ts';
import { printable } from './printable.ts';
import { runWorker } from './worker.ts';

interface Flags {
  database: string[];
  allDatabases: boolean;
  concurrency: number;
  stopAfter: number;
  metricsPort?: number;
  metricsHost: string;
}

function wholeNumber(least: number, most: number): (word: string) => number {
  return (word) => {
    const number = Number(word);
    if (!Number.isInteger(number) || number < least || number > most)
      throw new InvalidArgumentError(`a whole number from ${least} to ${most}.`);
    return number;
  };
}

/** Fires at the first SIGTERM or SIGINT; a second one ends the process as if nobody listened. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      stop.abort();
    });
  }
  return stop.signal;
}

async function serveMetrics(
  targets: ReadonlySet<string | undefined>,
  host: string,
  port: number,
  log: (line: string) => void,
): Promise<MetricsServer> {
  const { startMetricsServer } = await import('./metrics-server.ts');
  try {
    return await startMetricsServer({ targets, port, host, log });
  } catch (error) {
    throw new CouldNotRun(
      `can't serve metrics on ${host}:${port}: ${messageOf(error)}`,
      'give another --metrics-port or --metrics-host',
      { cause: error },
    );
  }
}

export function addWorkerCommand(program: Command, writeError: (text: string) => void): void {
  program
    .command('worker')
    .option(
      '-d, --database <target>',
      'a database to work for, as psql takes it; may be repeated',
      (url: string, all: string[]) => [...all, url],
      [],
    )
    .option(
      '--all-databases',
      'work for all databases of that server that have pg-maint, also those that get it later',
      false,
    )
    .addOption(trustOption())
    .option('--concurrency <n>', 'actions at a time in one database', wholeNumber(1, 32), 2)
    .option(
      '--stop-after <seconds>',
      'how long actions under way may go on when it is stopped',
      wholeNumber(0, 86_400),
      30,
    )
    .option('--metrics-port <port>', 'serve /metrics, /healthz and /readyz there', wholeNumber(0, 65_535))
    .option('--metrics-host <host>', 'address to serve them on; 0.0.0.0 is every one', '127.0.0.1')
    .description(
      'run maintenance as scheduled and do what runs have queued, until stopped by SIGTERM or SIGINT',
    )
    .action(async ({ database, allDatabases, concurrency, stopAfter, metricsPort, metricsHost }: Flags) => {
      const log = (line: string): void => {
        writeError(`pg-maint worker: ${line.split('\n').map(printable).join('\n  ')}\n`);
      };
      const urls = database.length === 0 ? [undefined] : database;
      const signal = stopSignal();
      const which = urls.length === 1 ? 'one database' : `${urls.length} databases`;
      log(`started, ${allDatabases ? 'all databases that have pg-maint' : which}`);
      const served = new Set<string | undefined>();
      const metrics =
        metricsPort === undefined ? null : await serveMetrics(served, metricsHost, metricsPort, log);
      if (metrics !== null) log(`metrics on http://${metricsHost}:${metrics.port}/metrics`);
      await runWorker({ urls, allDatabases, served, concurrency, stopSeconds: stopAfter, signal, log });
      await metrics?.close();
      log('stopped');
    });
}
