/**
 * `npm start`: the main job, from nothing to a result. On a throw-away server with a sample database, some load and a
 * worker; or, with DATABASE_URL, in the database named there, of which it touches nothing but schema maint.
 */
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { runOverConnection } from '../src/worker/host.ts';
import { CouldNotRun } from '../src/worker/errors.ts';
import { install } from '../src/worker/install.ts';
import type { InstallOptions, InstallReport } from '../src/worker/install.ts';
import { renderInstall } from '../src/worker/render-report.ts';
import { listFindings, renderRun } from '../src/worker/render.ts';
import { runWorker } from '../src/worker/worker.ts';
import type { JsonObject } from '../src/steps/step.ts';
import { startCluster } from './cluster.ts';
import { createSampleDatabase } from './sample/database.ts';
import { loadSample } from './sample/load.ts';
import { outcomesSince } from './start/outcome.ts';
import { renderOutcomes } from './start/table.ts';

const usage = `usage: npm start [-- --keep]

Runs maintenance in the database that DATABASE_URL names, or in a sample database on a throw-away server.
--keep  leaves the throw-away server running and says how to look further and how to stop it
`;

const loadSeconds = 4;

const colour = process.stdout.isTTY;

function say(text: string): void {
  process.stdout.write(text);
}

/** Fires when the user ends it: what fails after that fails because of it. */
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted.abort();
  });
}

async function workersAlive(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ alive: number }>(
    `select coalesce((maint.status() #>> '{worker,alive}')::int, 0) as alive`,
  );
  return rows[0]?.alive ?? 0;
}

async function runThere(client: pg.Client, { engine }: InstallReport): Promise<JsonObject> {
  if (engine === 'worker') return await runOverConnection(client, { force: true });
  const { rows } = await client.query<{ result: JsonObject }>('select maint.run(force => true) as result');
  return rows[0]?.result ?? {};
}

/** As psql shows it, notices and all. */
async function runAndWait(client: pg.Client): Promise<JsonObject> {
  const show = ({ message }: { message: string | undefined }): void => {
    say(`NOTICE:  ${message ?? ''}\n`);
  };
  client.on('notice', show);
  const { rows } = await client.query<{ result: JsonObject }>(
    `call maint.run_and_wait(force => true, timeout => '45 s')`,
  );
  client.off('notice', show);
  return rows[0]?.result ?? {};
}

/** Installs, runs, prints; true when the run was complete. `prepare` comes between installation and run. */
async function maintain(
  url: string,
  options: InstallOptions = {},
  prepare: (client: pg.Client) => Promise<void> = () => Promise.resolve(),
): Promise<boolean> {
  const report = await install(url, options);
  say(`${renderInstall(report)}\n`);
  const client = new pg.Client({ connectionString: url, application_name: 'pg-maint' });
  // When the server is stopped under it; the next query fails with it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await prepare(client);
    const withWorker = (await workersAlive(client)) > 0;
    const { rows } = await client.query<{ now: string }>('select clock_timestamp()::text as now');
    say(
      `${report.database}=# ${withWorker ? 'call maint.run_and_wait' : 'select maint.run'}(force => true);\n`,
    );
    const result = withWorker ? await runAndWait(client) : await runThere(client, report);
    say(`\n${renderRun(result, await listFindings(client), { colour })}\n`);
    if (result['status'] === 'skipped') return true;
    // Again, so that what is gone is so by a look at the catalog, and not by what an action says of itself.
    if (withWorker) await runThere(client, report);
    say(renderOutcomes(await outcomesSince(client, rows[0]?.now ?? ''), { colour }));
    return result['status'] === 'success';
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The sample database with its load, a worker, and a run that waits for it. */
async function maintainSample(serverUrl: string): Promise<boolean> {
  const url = await createSampleDatabase(serverUrl);
  process.stderr.write(`some load on it for ${loadSeconds} s …\n`);
  await loadSample(url, loadSeconds);
  const stop = new AbortController();
  interrupted.signal.addEventListener('abort', () => {
    stop.abort();
  });
  let worker = Promise.resolve();
  try {
    return await maintain(url, {}, async (client) => {
      // Its first run would come at once, and keep the one that is shown here out.
      await client.query('select maint.unschedule()');
      worker = runWorker({ urls: [url], signal: stop.signal, stopSeconds: 5 });
      while ((await workersAlive(client)) === 0) await sleep(50);
      await client.query(`select maint.reset('operational.maintenance_tasks.scheduled')`);
    });
  } finally {
    stop.abort();
    await worker;
  }
}

async function onThrowAwayServer(keep: boolean): Promise<boolean> {
  const directory = join(tmpdir(), `pg-maint-start-${process.pid}`);
  process.stderr.write('starting a throw-away PostgreSQL with a sample database …\n');
  const cluster = await startCluster(keep ? { directory } : { ephemeral: true });
  try {
    return await maintainSample(cluster.url);
  } finally {
    if (keep) {
      const sample = new URL('/shop', cluster.url).href;
      say(
        `\nThe server goes on. To look further:\n  psql ${sample}\nTo have a worker:\n` +
          `  npm run maint -- worker --database ${sample}\nTo stop the server and remove its data:\n` +
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
    say(usage);
    return 0;
  }
  const url = process.env['DATABASE_URL'] ?? '';
  if (url !== '' && values.keep === true) {
    process.stderr.write(`--keep is for the throw-away server; DATABASE_URL names one that stays\n${usage}`);
    return 2;
  }
  const complete = url === '' ? await onThrowAwayServer(values.keep === true) : await maintain(url);
  return complete ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (interrupted.signal.aborted) {
    process.exitCode = 130;
  } else if (error instanceof CouldNotRun) {
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
