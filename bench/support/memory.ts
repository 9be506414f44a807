/** Memory of a session that runs maintenance. */
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import type { BenchDatabase } from './database.ts';
import { runMaintenance } from './database.ts';
import { processOf } from './processor.ts';

/** Megabytes of memory of the process's own: shared buffers and the engine's code are not in it. */
function privateMegabytes(pid: number): number {
  const found = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (!found) throw new Error(`no RssAnon for process ${pid}`);
  return Math.round(Number(found[1]) / 1024);
}

/** The memory of the client's backend before and, looked at every few milliseconds, during some work. */
export async function privateMemoryOf(
  client: pg.Client,
  work: () => Promise<unknown>,
): Promise<{ before: number; peak: number }> {
  const pid = await processOf(client);
  const before = privateMegabytes(pid);
  let peak = before;
  const look = (): void => {
    peak = Math.max(peak, privateMegabytes(pid));
  };
  const timer = setInterval(look, 5);
  try {
    await work();
    look();
  } finally {
    clearInterval(timer);
  }
  return { before, peak };
}

/** The default limit of the engine, and the smallest of some limits under which a run succeeds. */
export async function memoryLimitThatSuffices(
  database: BenchDatabase,
  args: string,
): Promise<{ limit: number; suffices: number | null }> {
  const first = await database.connect();
  await first.query('begin');
  await runMaintenance(first, `force => true, "only" => '{0}'`);
  const { rows } = await first.query<{ limit: number }>(
    `select setting::int as limit from pg_settings where name = 'maint_v8.memory_limit'`,
  );
  await first.end();
  const limit = rows[0]?.limit ?? 0;
  for (const tried of [32, 64, 128, 256]) {
    const client = await database.connect();
    await client.query('begin');
    await client.query(`select set_config('maint_v8.memory_limit', $1, false)`, [`${tried}MB`]);
    const result = await runMaintenance(client, args);
    await client.end();
    if (result.status === 'success') return { limit, suffices: tried };
  }
  return { limit, suffices: null };
}
