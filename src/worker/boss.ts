/** pg-boss in a maintained database: the queues, and the one connection it has. */
import type pg from 'pg';
import { PgBoss } from 'pg-boss';
import type { Queue } from 'pg-boss';
import { installLock, lockClass } from '../core/advisory-locks.ts';
import { queryRow, settleSession } from './connection.ts';

export const bossSchema = 'pgboss';

/** A job whose worker has not been heard of for this long is given to another. */
export const heartbeatSeconds = 20;

const forever = 23 * 3600;

/** All queues. A policy that changes here changes what is there: see ensureQueues. */
export const queues = {
  /** What was given up, until a worker has told it. */
  maint_dead: { policy: 'standard', retryLimit: 20, retryDelay: 30, retryBackoff: true },
  /** One run at a time, and one waiting counts as that one. */
  maint_run: { policy: 'exclusive', retryLimit: 2, retryDelay: 30, retryBackoff: true },
  /** Any number wait; of those with one key, a table's, one is active. */
  maint_action: {
    policy: 'singleton',
    retryLimit: 20,
    retryDelay: 2,
    retryBackoff: true,
    retryDelayMax: 300,
  },
  maint_training: { policy: 'exclusive', retryLimit: 1, retryDelay: 300 },
} as const satisfies Record<string, Omit<Queue, 'name'>>;

export type QueueName = keyof typeof queues;

function optionsOf(name: QueueName): Omit<Queue, 'name'> {
  if (name === 'maint_dead') return queues[name];
  return { ...queues[name], expireInSeconds: forever, heartbeatSeconds, deadLetter: 'maint_dead' };
}

/** A pg-boss over this connection, which nothing else may open a transaction on. Start and stop it. */
function bossOver(client: pg.ClientBase): PgBoss {
  let last: Promise<unknown> = Promise.resolve();
  return new PgBoss({
    schema: bossSchema,
    db: {
      executeSql(text, values) {
        // One after the other: pg-boss takes its adapter for a pool.
        const result = last.then(() =>
          values === undefined || values.length === 0 ? client.query(text) : client.query(text, values),
        );
        last = result.catch(() => undefined);
        return result;
      },
    },
    createSchema: false,
    schedule: false,
    supervise: true,
    // What it would do more often costs an idle server queries, and nothing here is waiting for it.
    flowIntervalSeconds: forever,
    bamIntervalSeconds: 600,
    // How long a job may go unnoticed whose worker is silent; actions are looked after by reconciliation.
    superviseIntervalSeconds: 120,
    monitorIntervalSeconds: 120,
    registerInstance: false,
    queueCacheIntervalSeconds: 600,
    // Its indexes are looked after like all others.
    reindex: false,
  });
}

/** Rejects with nothing: errors of its timers go to `onError`. */
export async function startBoss(client: pg.ClientBase, onError: (error: Error) => void): Promise<PgBoss> {
  const boss = bossOver(client);
  boss.on('error', onError);
  await boss.start();
  return boss;
}

/**
 * Creates or upgrades the schema of pg-boss and the queues for the role that owns schema maint, which it leaves set; and
 * records whether the schema was ours to make. Any number at once wait for each other.
 */
export async function ensureQueues(client: pg.Client): Promise<void> {
  await settleSession(client);
  await client.query('select pg_catalog.pg_advisory_lock($1, $2)', [lockClass, installLock]);
  try {
    await client.query('reset role');
    const { existed, owner } = await queryRow<{ existed: boolean; owner: string }>(
      client,
      `select pg_catalog.to_regnamespace($1) is not null as existed,
         pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(n.nspowner)) as owner
       from pg_catalog.pg_namespace as n where n.nspname = 'maint'`,
      [bossSchema],
    );
    // By whoever connects: the owner needs no right to create schemas.
    if (!existed) await client.query(`create schema ${bossSchema} authorization ${owner}`);
    await client.query(`set role ${owner}`);
    if (!existed) await client.query('update maint.installation set made_queues = true');
    const boss = bossOver(client);
    const failures: Error[] = [];
    boss.on('error', (error: Error) => failures.push(error));
    try {
      await boss.start({});
      await createMissing(boss);
    } finally {
      await boss.stop({ graceful: false, close: false });
    }
    const [failure] = failures;
    if (failure) throw failure;
  } catch (error) {
    // pg-boss leaves its transaction open where a statement of it fails. Where the connection is gone, there is none.
    await client.query('rollback').catch(() => undefined);
    throw error;
  } finally {
    await client.query('select pg_catalog.pg_advisory_unlock($1, $2)', [lockClass, installLock]);
  }
}

async function createMissing(boss: PgBoss): Promise<void> {
  const there = new Map((await boss.getQueues()).map((queue) => [queue.name, queue]));
  for (const name of Object.keys(queues) as QueueName[]) {
    const { policy, ...options } = optionsOf(name);
    if (!there.has(name)) await boss.createQueue(name, { policy: policy ?? 'standard', ...options });
    else if (Object.keys(options).length > 0) await boss.updateQueue(name, options);
  }
}
