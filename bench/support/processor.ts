/**
 * The time that a session's server process spends on a processor. Unlike the time on the wall it does not grow when the
 * machine has other things to do; with the whole catalog in memory it is nearly all there is.
 */
import { readFileSync } from 'node:fs';
import type pg from 'pg';

const processes = new WeakMap<pg.Client, number>();

/** The process that serves a client. */
export async function processOf(client: pg.Client): Promise<number> {
  const known = processes.get(client);
  if (known !== undefined) return known;
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const pid = rows[0]?.pid;
  if (pid === undefined) throw new Error('no process');
  processes.set(client, pid);
  return pid;
}

function nanoseconds(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]);
}

/** Milliseconds on a processor that `work` costs the client's server process. Parallel workers are not counted. */
export async function processorTime(client: pg.Client, work: () => Promise<unknown>): Promise<number> {
  const pid = await processOf(client);
  const before = nanoseconds(pid);
  await work();
  return (nanoseconds(pid) - before) / 1e6;
}

/** Milliseconds on a processor that the client's server process has had since it began. */
export async function processorTimeSoFar(client: pg.Client): Promise<number> {
  return nanoseconds(await processOf(client)) / 1e6;
}
