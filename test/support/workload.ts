/** Workloads made by real clients: pgbench with scripts of the test's own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { findPostgres } from '../../build/postgres.ts';
import { run } from '../../build/run.ts';
import { parseTexts as parse } from '../../src/worker/parse-texts.ts';
import { connectAsOwner } from '../../src/worker/session.ts';
import { temporaryFolder } from './command.ts';

export interface Script {
  text: string;
  /** Transactions of each client. */
  transactions: number;
  clients?: number;
}

let scripts = 0;

/** Runs a script to its end, until all it did is counted; throws where pgbench reports an error. */
export async function pgbench(t: ExecutionContext, url: string, script: Script): Promise<void> {
  const folder = temporaryFolder(t);
  mkdirSync(folder, { recursive: true });
  scripts += 1;
  const file = join(folder, `script-${scripts}.sql`);
  writeFileSync(file, `${script.text}\n`);
  const target = new URL(url);
  const application = `pgbench ${scripts}`;
  target.searchParams.set('application_name', application);
  const postgres = await findPostgres({ headers: false });
  await run(join(postgres!.binDirectory, 'pgbench'), [
    '--no-vacuum',
    '--protocol=extended',
    `--client=${script.clients ?? 1}`,
    `--transactions=${script.transactions}`,
    `--file=${file}`,
    target.href,
  ]);
  // Its sessions count their rows as they end, after pgbench itself has ended.
  const client = await connectAsOwner(url);
  try {
    const left = async (): Promise<boolean> =>
      ((await client.query('select from pg_stat_activity where application_name = $1', [application]))
        .rowCount ?? 0) > 0;
    while (await left()) await sleep(20);
  } finally {
    await client.end();
  }
}

/** What a worker's chore does once: parses what has not been parsed yet. */
export async function parseTexts(url: string): Promise<void> {
  const client = await connectAsOwner(url);
  try {
    await parse(client, new AbortController().signal);
  } finally {
    await client.end();
  }
}
