/** Clocks that jump: the server's is set back by a day, the worker's machine is off by days. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'ava';
import { repository } from '../../build/paths.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { run, waitForRow } from '../support/maintenance.ts';
import { queueAction, startWorker } from '../support/worker.ts';

/** As if all of this had been written while the server's clock was a day ahead. */
async function comeFromTheFuture(database: TestDatabase): Promise<void> {
  await database.query(`
    with r as (update maint.run_log set started_at = started_at + interval '1 day', finished_at = finished_at + interval '1 day'),
      s as (update maint.step_log set started_at = started_at + interval '1 day'),
      w as (update maint.worker set last_seen = last_seen + interval '1 day'),
      c as (update maint.chore set begun_at = begun_at + interval '1 day', finished_at = finished_at + interval '1 day'),
      e as (update maint.safeguard_event set at = at + interval '1 day'),
      a as (update maint.action set queued_at = queued_at + interval '1 day', started_at = started_at + interval '1 day',
        finished_at = finished_at + interval '1 day', not_before = not_before + interval '1 day'),
      q as (update maint.query_history_state set sampled_at = sampled_at + interval '1 day'),
      l as (update maint.workload_state set sampled_at = sampled_at + interval '1 day')
    update maint_boss.job set created_on = created_on + interval '1 day', start_after = start_after + interval '1 day',
      started_on = started_on + interval '1 day', heartbeat_on = heartbeat_on + interval '1 day'`);
}

async function nothingInTheFuture(database: TestDatabase): Promise<unknown[]> {
  return await database.query(
    `select 'run' as of from maint.run_log where greatest(started_at, finished_at) > clock_timestamp()
     union all select 'step' from maint.step_log where started_at > clock_timestamp()
     union all select 'worker' from maint.worker where last_seen > clock_timestamp()
     union all select 'chore ' || name from maint.chore where begun_at > clock_timestamp()
     union all select 'event' from maint.safeguard_event where at > clock_timestamp()
     union all select 'action' from maint.action where greatest(queued_at, started_at, finished_at) > clock_timestamp()
     union all select 'history' from maint.query_history_state where sampled_at > clock_timestamp()
     union all select 'workload' from maint.workload_state where sampled_at > clock_timestamp()
     union all select 'job' from maint_boss.job
       where state <= 'active' and greatest(created_on, started_on, heartbeat_on) > clock_timestamp()`,
  );
}

test('the clock is set back by a day: the next run is an interval away, and no dead worker seems alive', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await run(database);
  await database.query(
    `insert into maint.worker (worker_id, host, pid, version) values ('dead', 'gone', 1, '0');
     insert into maint.safeguard_event (kind, event) select 'drop_index', 'attempt' from generate_series(1, 100)`,
  );
  t.is((await run(database, { force: false })).reason, 'not_due');
  await comeFromTheFuture(database);

  const [{ alive }] = (await database.query(
    `select (maint.status() #>> '{worker,alive}')::int as alive`,
  )) as [{ alive: number }];
  t.is(alive, 0, 'a beat in the future is none of now');
  t.is((await run(database, { force: false })).reason, 'not_due');
  const [next] = await database.query(
    `select (maint.status() ->> 'next_due_at')::timestamptz <= clock_timestamp() + interval '1 hour' as within`,
  );
  t.deepEqual(next, { within: true });
  await run(database);
  t.deepEqual(await nothingInTheFuture(database), []);
});

test('times that a person has chosen are kept: a mute or bypass until next month ends then', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.bypass('index_cleanup', 'for a month', now() + interval '30 days')`);
  await run(database);
  await comeFromTheFuture(database);
  await run(database);
  t.deepEqual(
    await database.query(
      `select until > now() + interval '29 days' as kept from maint.feature_bypass where feature = 'index_cleanup'`,
    ),
    [{ kept: true }],
  );
  t.deepEqual(await nothingInTheFuture(database), []);
});

test('the clock is set back by a day while actions wait: a worker does them now, once, and says why', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`create table orders (a int); create index waits on orders (a)`);
  const [{ oid }] = (await database.query(`select 'waits'::regclass::oid::int8::float8 as oid`)) as [
    { oid: number },
  ];
  const id = await queueAction(database, 'drop_index', {
    schema: 'public',
    table: 'orders',
    index: 'waits',
    oid,
  });
  await database.query(
    `insert into maint.chore (name) values ('forget old'), ('query history'), ('parse statements')`,
  );
  await comeFromTheFuture(database);
  const { log } = startWorker(t, database);
  await waitForRow(database, `select from maint.action where action_id = ${id} and status = 'succeeded'`);
  t.deepEqual(await database.query(`select to_regclass('waits') as "index"`), [{ index: null }]);
  t.deepEqual(
    await database.query(`select count(*)::int as n from maint.safeguard_event where event = 'attempt'`),
    [{ n: 1 }],
  );
  t.true(
    log.some((line) => line.includes(`the server's clock was set back`)),
    log.join('\n'),
  );
  await waitForRow(
    database,
    `select from maint.chore having bool_and(begun_at <= clock_timestamp()) and count(*) >= 2`,
  );
});

for (const days of [-400, 400]) {
  test(`a worker's machine whose clock is off by ${days} days: it works by the server's`, async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    await database.query(`create table orders (a int); create index waits on orders (a);
      select maint.configure('operational.safeguards.max_active_backends_per_core', '0'),
        maint.configure('operational.safeguards.max_wal_mb_per_second', '0'),
        maint.configure('operational.safeguards.min_free_disk_percent', '0'), maint.unschedule()`);
    const [{ oid }] = (await database.query(`select 'waits'::regclass::oid::int8::float8 as oid`)) as [
      { oid: number },
    ];
    const id = await queueAction(database, 'drop_index', {
      schema: 'public',
      table: 'orders',
      index: 'waits',
      oid,
    });
    const shifted = `data:text/javascript,${encodeURIComponent(`
      const Real = Date;
      const off = ${days} * 86400000;
      globalThis.Date = class extends Real {
        constructor(...given) { if (given.length === 0) super(Real.now() + off); else super(...given); }
        static now() { return Real.now() + off; }
      };`)}`;
    const child = spawn(
      process.execPath,
      ['--import', shifted, join(repository, 'src/worker/cli.ts'), 'worker', '--database', database.url],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    child.stderr.on('data', (part: Buffer) => (said += part.toString()));
    t.teardown(() => child.kill('SIGKILL'));
    await waitForRow(database, `select from maint.action where action_id = ${id} and status = 'succeeded'`);
    t.deepEqual(
      await database.query(
        `select count(*)::int as off from maint.action
         where greatest(started_at, finished_at) not between now() - interval '5 minutes' and now()`,
      ),
      [{ off: 0 }],
    );
    t.deepEqual(await database.query(`select (maint.status() #>> '{worker,alive}')::int as alive`), [
      { alive: 1 },
    ]);
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    t.deepEqual(await ended, [0, null], said);
  });
}
