/** A worker, or the server process of its session, that is stopped and goes on later, as on a frozen machine: nothing is done twice. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { waitForRow } from '../support/maintenance.ts';
import { actionRecord, ended, oidOf, queueAction, spawnWorker, startWorker } from '../support/worker.ts';

const gate = 515_151;

/** An index that is built only once the gate is open. */
async function queueHeldBuild(database: TestDatabase): Promise<{ id: number; open(): Promise<void> }> {
  const holder = await database.client();
  await holder.query('select pg_advisory_lock($1)', [gate]);
  await database.query(`
    create table public.t (a int) with (autovacuum_enabled = off); insert into public.t select generate_series(1, 100);
    create function public.held(a int) returns int language plpgsql immutable as $$
      begin
        while a = 50 and exists (select from pg_catalog.pg_locks as l where l.locktype = 'advisory' and l.objid = ${gate}
            and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database()))
        loop
          perform pg_catalog.pg_sleep(0.02);
        end loop;
        return a;
      end $$`);
  const id = await queueAction(database, 'create_index', {
    schema: 'public',
    table: 't',
    oid: await oidOf(database, 'public', 't'),
    index: 't_held',
    statement: 'create index concurrently t_held on public.t (public.held(a))',
  });
  return {
    id,
    open: async () => {
      await holder.query('select pg_advisory_unlock($1)', [gate]);
    },
  };
}

const building = `select pid from pg_stat_progress_create_index where datname = current_database() and phase like 'building%'`;

async function doneOnce(database: TestDatabase, id: number): Promise<unknown> {
  const { status, attempts } = await ended(database, id);
  const [row] = await database.query(
    `select (select count(*)::int from maint.safeguard_event where action_id = $1 and event = 'attempt') as begun,
       (select array_agg(c.relname || ' ' || x.indisvalid order by c.relname) from pg_index x join pg_class c on c.oid = x.indexrelid
        where x.indrelid = 'public.t'::regclass) as indexes`,
    [id],
  );
  return { status, attempts, ...row };
}

const once = { status: 'succeeded', attempts: 1, begun: 1, indexes: ['t_held true'] };

test('a worker that is stopped while its statement goes on, and whose job another one is given', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const { id, open } = await queueHeldBuild(database);
  const first = await spawnWorker(t, database);
  await waitForRow(database, building);
  first.kill('SIGSTOP');
  // What supervision does once a worker has been silent for too long.
  await database.query(
    `update maint_boss.job set state = 'retry', start_after = now() - interval '1 minute', heartbeat_on = null
     where name = 'maint_action' and state = 'active'`,
  );
  startWorker(t, database);
  await waitForRow(
    database,
    `select from maint_boss.job where name = 'maint_action' and state <> 'retry'
     union all select where not exists (select from maint_boss.job where name = 'maint_action')`,
  );
  t.is((await actionRecord(database, id)).status, 'running');
  await open();
  // The statement ends without its worker.
  await waitForRow(database, `select from pg_index where indrelid = 'public.t'::regclass and indisvalid`);
  first.kill('SIGCONT');
  t.deepEqual(await doneOnce(database, id), once);
});

test('a server process that is stopped in the middle of its statement goes on where it was', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const { id, open } = await queueHeldBuild(database);
  startWorker(t, database);
  await waitForRow(database, building);
  const [row] = await database.query<{ pid: number }>(building);
  process.kill(row!.pid, 'SIGSTOP');
  try {
    await open();
    startWorker(t, database);
    await waitForRow(database, 'select from maint.worker having count(*) = 2');
    t.is((await actionRecord(database, id)).status, 'running');
  } finally {
    process.kill(row!.pid, 'SIGCONT');
  }
  t.deepEqual(await doneOnce(database, id), once);
});
