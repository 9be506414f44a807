/** An application that uses pg-boss itself. */
import test from 'ava';
import pg from 'pg';
import { PgBoss } from 'pg-boss';
import { install } from '../../src/worker/install.ts';
import { uninstall } from '../../src/worker/uninstall.ts';
import { createDatabase } from '../support/database.ts';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';

test("the application's own pg-boss is neither used, migrated nor dropped, and its triggers never run for us", async (t) => {
  const database = await createDatabase(t);
  const role = `app_${database.name}`;
  await database.query(`create role ${role} login; grant create on database ${database.name} to ${role}`);
  const url = new URL(database.url);
  url.username = role;
  const boss = new PgBoss({ connectionString: url.href, supervise: false, schedule: false });
  boss.on('error', (error) => t.fail(error.message));
  await boss.start();
  await boss.createQueue('mails');
  await boss.send('mails', { to: 'x' });
  await boss.stop({ graceful: false });
  const app = new pg.Client(url.href);
  await app.connect();
  t.teardown(async () => {
    await app.end();
    await database.query(`drop owned by ${role} cascade; drop role ${role}`);
  });
  await app.query(`
    update pgboss.version set version = 26;
    create table pgboss.seen (who name, event text);
    grant all on pgboss.seen to public;
    create function pgboss.note() returns trigger language plpgsql as $$
      begin insert into pgboss.seen values (session_user, tg_op); return coalesce(new, old); end $$;
    create trigger note before insert or update or delete on pgboss.job for each row execute function pgboss.note();
    create trigger note before insert or update or delete on pgboss.queue for each row execute function pgboss.note();
    create trigger note before insert or update or delete on pgboss.version for each row execute function pgboss.note()`);
  const theirs = async (): Promise<unknown> => [
    await database.query('select version from pgboss.version'),
    await database.query('select name, data, state from pgboss.job'),
    await database.query('select * from pgboss.seen'),
    await database.query(`select c.oid, c.relname, c.relowner from pg_class as c
      where c.relnamespace = 'pgboss'::regnamespace order by c.relname`),
  ];
  const before = await theirs();
  t.is((await install(database.url)).outcome, 'installed');
  await database.query(
    'create table public.t (a int); create index on public.t (a); create index on public.t (a)',
  );
  const { stop } = startWorker(t, database, { schedule: true });
  await waitForRow(database, `select from maint.run_log where status in ('success', 'partial')`);
  await stop();
  t.deepEqual(await theirs(), before);
  await uninstall(database.url);
  t.deepEqual(await theirs(), before);
});
