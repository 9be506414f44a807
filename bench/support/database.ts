/** Databases for measurements: pg-maint installed, on a server of the bench's own. */
import pg from 'pg';
import { install } from '../../src/worker/install.ts';

/** The server a bench runs on, and how it makes databases there. */
export interface Server {
  url: string;
}

export interface BenchDatabase {
  url: string;
  connect(): Promise<pg.Client>;
  drop(): Promise<void>;
}

async function connectTo(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'bench',
    // Processor time is counted for one process, and is the same whichever way the planner would share it out.
    options: '-c max_parallel_workers_per_gather=0',
  });
  // When the server is stopped under it; a query under way fails, which is what is told.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function onServer(server: Server, statement: string): Promise<void> {
  const client = await connectTo(server.url);
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

export async function createDatabase(server: Server, name: string): Promise<BenchDatabase> {
  await onServer(server, `create database ${pg.escapeIdentifier(name)}`);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  const clients: pg.Client[] = [];
  const connect = async (): Promise<pg.Client> => {
    const client = await connectTo(url.href);
    clients.push(client);
    return client;
  };
  const report = await install(url.href, { createExtensions: true });
  if (report.engine === 'worker') throw new Error('this server has no JavaScript language to measure');
  return {
    url: url.href,
    connect,
    async drop() {
      await Promise.all(clients.map((each) => each.end()));
      await onServer(server, `drop database ${pg.escapeIdentifier(name)} with (force)`);
    },
  };
}

/** The dictionary of `select maint.run(...)`, as far as benches read it. */
export interface RunResult {
  status: string;
  reason?: string;
  steps: Record<string, { number: number; status: string; duration_ms: number; reason: string | null }>;
  integrity_check: { checks: Record<string, { examined?: number; total?: number }> };
}

export async function runMaintenance(client: pg.Client, args = 'force => true'): Promise<RunResult> {
  const { rows } = await client.query<{ result: RunResult }>(`select maint.run(${args}) as result`);
  const result = rows[0]?.result;
  if (!result) throw new Error('maint.run returned no row');
  return result;
}

/** A bench that measured a run which failed would measure nothing. */
export function requireSuccess(result: RunResult): RunResult {
  const bad = Object.entries(result.steps).filter(
    ([, { status }]) => !['success', 'skipped'].includes(status),
  );
  if (result.status !== 'success' || bad.length > 0) {
    throw new Error(`the run is ${result.status}: ${JSON.stringify(Object.fromEntries(bad))}`);
  }
  return result;
}

/** In a transaction that is rolled back, so that each repetition meets the same state. */
export async function rolledBack<Value>(client: pg.Client, work: () => Promise<Value>): Promise<Value> {
  await client.query('begin');
  try {
    return await work();
  } finally {
    await client.query('rollback');
  }
}
