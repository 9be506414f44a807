/** Makes the sample database: the tables from shop.sql, and what only statements that are cut off leave behind. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { leftoverIsDue } from './reindex-leftover.ts';

const uniqueViolation = '23505';

async function withClient<Result>(
  url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  // When the server is stopped under it; the query under way, or the next one, fails with it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** A CREATE UNIQUE INDEX CONCURRENTLY that meets the same customer twice. */
async function leaveInvalidIndex(url: string): Promise<void> {
  await withClient(url, async (client) => {
    try {
      await client.query('create unique index concurrently customer_email_key on shop.customer (email)');
    } catch (error) {
      if (error instanceof pg.DatabaseError && error.code === uniqueViolation) return;
      throw error;
    }
    throw new Error('the sample wants a unique index that fails, and it did not');
  });
}

/** A REINDEX CONCURRENTLY that is cancelled while it waits for a writer. */
async function leaveReindexLeftover(url: string): Promise<void> {
  await withClient(url, async (writer) => {
    await writer.query('begin; lock table shop."Order" in row exclusive mode');
    await withClient(url, async (builder) => {
      const { rows } = await builder.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid');
      const pid = rows[0]?.pid;
      const cancelled = builder
        .query('reindex index concurrently shop."Order by status; (old)"')
        .catch(() => null);
      while ((await writer.query(leftoverIsDue, [pid, 'ccnew'])).rowCount === 0) await sleep(20);
      await writer.query('select pg_catalog.pg_cancel_backend($1)', [pid]);
      await cancelled;
    });
    await writer.query('rollback');
  });
}

/**
 * Creates the database `shop` on the server at `url`, or fills the one named `existing`, which is empty; returns its URL.
 */
export async function createSampleDatabase(url: string, existing?: string): Promise<string> {
  if (existing === undefined) await withClient(url, (client) => client.query('create database shop'));
  const sample = new URL(url);
  sample.pathname = `/${existing ?? 'shop'}`;
  const sql = readFileSync(join(import.meta.dirname, 'shop.sql'), 'utf8');
  await withClient(sample.href, (client) => client.query(sql));
  await leaveInvalidIndex(sample.href);
  await leaveReindexLeftover(sample.href);
  return sample.href;
}
