/** The rows of maint.worker: who is alive. */
import { hostname } from 'node:os';
import type pg from 'pg';

export const heartbeatEverySeconds = 30;

export async function beat(client: pg.ClientBase, workerId: string, version: string): Promise<void> {
  await client.query(
    `insert into maint.worker as w (worker_id, host, pid, version) values ($1, $2, $3, $4)
     on conflict (worker_id) do update set last_seen = pg_catalog.clock_timestamp()`,
    [workerId, hostname(), process.pid, version],
  );
}

/** A worker that says goodbye is not waited for. */
export async function sayGoodbye(client: pg.ClientBase, workerId: string): Promise<void> {
  await client.query('delete from maint.worker where worker_id = $1', [workerId]);
}
