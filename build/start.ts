/**
 * `npm start`: the main job, from nothing to a result. On a throw-away server with a sample database, or, with
 * DATABASE_URL, in the database named there, of which it touches nothing but schema maint.
 */
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { runOverConnection } from '../src/worker/host.ts';
import { CouldNotRun } from '../src/worker/errors.ts';
import { install } from '../src/worker/install.ts';
import type { InstallOptions, InstallReport } from '../src/worker/install.ts';
import { renderInstall } from '../src/worker/render-report.ts';
import { listFindings, renderRun } from '../src/worker/render.ts';
import type { JsonObject } from '../src/steps/step.ts';
import { startCluster } from './cluster.ts';
import { createSampleDatabase } from './sample/database.ts';

const usage = `usage: npm start [-- --keep]

Runs maintenance in the database that DATABASE_URL names, or in a sample database on a throw-away server.
--keep  leaves the throw-away server running and says how to look further and how to stop it
`;

const call = 'select maint.run(force => true)';

async function runThere(client: pg.Client, { engine }: InstallReport): Promise<JsonObject> {
  if (engine === 'worker') return await runOverConnection(client, { force: true });
  const { rows } = await client.query<{ result: JsonObject }>(`${call} as result`);
  return rows[0]?.result ?? {};
}

/** Installs, runs, prints; true when the run was complete. */
async function maintain(url: string, options: InstallOptions = {}): Promise<boolean> {
  const report = await install(url, options);
  process.stdout.write(`${renderInstall(report)}\n${report.database}=# ${call};\n\n`);
  const client = new pg.Client({ connectionString: url, application_name: 'pg-maint' });
  await client.connect();
  try {
    const result = await runThere(client, report);
    process.stdout.write(renderRun(result, await listFindings(client), { colour: process.stdout.isTTY }));
    return result['status'] === 'success' || result['status'] === 'skipped';
  } finally {
    await client.end();
  }
}

async function onThrowAwayServer(keep: boolean): Promise<boolean> {
  const directory = join(tmpdir(), `pg-maint-start-${process.pid}`);
  process.stderr.write('starting a throw-away PostgreSQL with a sample database …\n');
  const cluster = await startCluster(keep ? { directory } : { ephemeral: true });
  try {
    return await maintain(await createSampleDatabase(cluster.url));
  } finally {
    if (keep) {
      const sample = new URL('/shop', cluster.url).href;
      process.stdout.write(
        `\nThe server goes on. To look further:\n  psql ${sample}\nTo stop it and remove its data:\n` +
          `  npm run cluster -- down --dir ${directory}\n`,
      );
    } else {
      await cluster.stop('immediate');
    }
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { keep: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    process.stdout.write(usage);
    return 0;
  }
  const url = process.env['DATABASE_URL'] ?? '';
  if (url !== '' && values.keep === true) {
    process.stderr.write(`--keep is for the throw-away server; DATABASE_URL names one that stays\n${usage}`);
    return 2;
  }
  // In a database of the user's: nothing outside schema maint, and the queues are in pg-boss's.
  const complete =
    url === '' ? await onThrowAwayServer(values.keep === true) : await maintain(url, { queues: false });
  return complete ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof CouldNotRun) {
    process.stderr.write(`${error.message}${error.fix === null ? '' : `\n  ${error.fix}`}\n`);
    process.exitCode = 2;
  } else if (
    error instanceof TypeError &&
    'code' in error &&
    String(error.code).startsWith('ERR_PARSE_ARGS')
  ) {
    process.stderr.write(`${error.message}\n${usage}`);
    process.exitCode = 2;
  } else {
    throw error;
  }
}
