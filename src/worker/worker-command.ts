/** The command `pg-maint worker`. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { printable } from './printable.ts';
import { runWorker } from './worker.ts';

interface Flags {
  database: string[];
  allDatabases: boolean;
  concurrency: number;
  stopAfter: number;
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
    .option('--concurrency <n>', 'actions at a time in one database', wholeNumber(1, 32), 2)
    .option(
      '--stop-after <seconds>',
      'how long actions under way may go on when it is stopped',
      wholeNumber(0, 86_400),
      30,
    )
    .description(
      'run maintenance as scheduled and do what runs have queued, until stopped by SIGTERM or SIGINT',
    )
    .action(async ({ database, allDatabases, concurrency, stopAfter }: Flags) => {
      const log = (line: string): void => {
        writeError(`pg-maint worker: ${line.split('\n').map(printable).join('\n  ')}\n`);
      };
      const urls = database.length === 0 ? [undefined] : database;
      const signal = stopSignal();
      const which = urls.length === 1 ? 'one database' : `${urls.length} databases`;
      log(`started, ${allDatabases ? 'all databases that have pg-maint' : which}`);
      await runWorker({ urls, allDatabases, concurrency, stopSeconds: stopAfter, signal, log });
      log('stopped');
    });
}
