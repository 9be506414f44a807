/** A schema that another role has made, or filled, is never taken for ours. */
import test from 'ava';
import { PgBoss } from 'pg-boss';
import { command } from '../support/cli.ts';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';
import { arena } from './arena.ts';
import type { Arena } from './arena.ts';

/** Everything that a schema has in the catalog, to see that a refusal changed nothing. */
async function contents(place: Arena, schema: string): Promise<string[]> {
  const rows = await place.database.query<{ what: string }>(
    `select format('%s %s %s', d.classid::regclass, d.objid, n.nspowner) as what
     from pg_namespace as n left join pg_depend as d
       on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid
     where n.nspname = $1 order by what`,
    [schema],
  );
  return rows.map(({ what }) => what);
}

for (const schema of ['maint', 'maint_boss', 'maint_privileged']) {
  test(`an empty schema ${schema} of another role is not adopted`, async (t) => {
    const place = await arena(t);
    await place.arm();
    await place.sql('evil', `create schema ${schema}`);
    const before = await contents(place, schema);
    const error = await t.throwsAsync(place.install());
    t.regex(error.message, new RegExp(schema));
    t.deepEqual(await contents(place, schema), before);
    t.deepEqual(
      await place.database.query(
        `select nspname from pg_namespace where nspname ~ '^maint' and nspname <> $1`,
        [schema],
      ),
      [],
      'nothing is left half installed',
    );
    // The superuser's way out, and then honest use.
    await place.database.query(`alter schema ${schema} rename to of_somebody`);
    t.is((await place.install()).outcome, 'installed');
    t.deepEqual(await place.loot(), []);
  });
}

/** What a maint of the attacker has: all that pg-maint calls or reads first, each a trap. */
const fake = `
  create schema maint;
  create table maint.installation (version text, engine text, bundle_sha256 text, made_queues boolean, owner text);
  insert into maint.installation values ('0.1.0', 'worker', '', false, current_user);
  create table maint.migration (version int, name text);
  create table maint.setting (path text, scope text, value jsonb);
  create function maint.spring() returns trigger language plpgsql as $f$ begin perform evil.pay('trigger'); return new; end $f$;
  create trigger spring before insert or update or delete on maint.installation for each row execute function maint.spring();
  create trigger spring before insert or update or delete on maint.migration for each row execute function maint.spring();
  create trigger spring before insert or update or delete on maint.setting for each row execute function maint.spring();
  create function maint.status() returns jsonb language plpgsql as $f$ begin perform evil.pay('status'); return '{}'; end $f$;
  create function maint.config(path text default '') returns jsonb language plpgsql as $f$ begin perform evil.pay('config'); return '{}'; end $f$;
  create function maint.run(force boolean default false, "only" text[] default null, dry_run boolean default false)
    returns jsonb language plpgsql as $f$ begin perform evil.pay('run'); return '{"status": "success"}'; end $f$;
  create function maint.apply_grants() returns jsonb language plpgsql as $f$ begin perform evil.pay('grants'); return '{}'; end $f$;
  create view maint.findings as select 1 as finding_id where evil.pay('findings');
  create view maint.overview as select 1 as overview where evil.pay('overview');
  create view maint.config_effective as select 1 as path where evil.pay('config_effective');
  grant usage on schema maint to public; grant all on all tables in schema maint to public;`;

test('no command of a superuser runs what an attacker has put into a schema maint', async (t) => {
  const place = await arena(t);
  await place.arm();
  await place.sql('evil', fake);
  const { url } = place.database;
  const before = await contents(place, 'maint');
  for (const words of [
    ['install'],
    ['status'],
    ['doctor'],
    ['run'],
    ['findings'],
    ['report', '--output', '-'],
    ['config', 'show'],
  ]) {
    const answer = await command(...words, url);
    t.deepEqual(await place.loot(), [], `${words.join(' ')}: ${answer.out}${answer.error}`);
    if (words[0] !== 'doctor')
      t.is(answer.code, 2, `${words.join(' ')} refuses: ${answer.out}${answer.error}`);
  }
  t.deepEqual(await contents(place, 'maint'), before);
  t.deepEqual(await place.promoted(), []);
  await place.database.query('select maint.status()');
  const control = await place.loot();
  t.true(
    control.some(({ trap, role }) => trap === 'status' && role === 'postgres'),
    'control',
  );
  // What is there can be dropped, and none of it is called for that.
  const removed = await command('uninstall', url);
  t.deepEqual(await place.loot(), control, removed.error);
});

test('the pg-boss of an application is neither read nor changed', async (t) => {
  const place = await arena(t);
  const { database, roles } = place;
  const boss = new PgBoss(place.urlFor('app'));
  boss.on('error', (error) => {
    t.log(error);
  });
  await boss.start();
  await boss.createQueue('mails');
  await boss.send('mails', { to: 'x' });
  await boss.stop({ graceful: false });
  await place.arm();
  await place.sql(
    'app',
    `create function pgboss.spring() returns trigger language plpgsql as $f$ begin perform evil.pay('application'); return new; end $f$;
     create trigger spring before insert or update or delete on pgboss.job for each row execute function pgboss.spring();
     create trigger spring before insert or update or delete on pgboss.queue for each row execute function pgboss.spring();
     create trigger spring before insert or update or delete on pgboss.version for each row execute function pgboss.spring();
     update pgboss.version set version = 26`,
  );
  const before = await contents(place, 'pgboss');
  await place.install();
  startWorker(t, database);
  const run = await place.run();
  await waitForRow(database, `select from maint.training`, [], 60);
  t.not(run.status, 'failed');
  t.is((await command('uninstall', database.url)).code, 0);
  t.deepEqual(await contents(place, 'pgboss'), before);
  t.deepEqual(await database.query('select version from pgboss.version'), [{ version: 26 }]);
  t.deepEqual(await database.query(`select name from pgboss.job order by name`), [{ name: 'mails' }]);
  // The application's own statement ran the payload as the application: that is no loot of ours.
  t.deepEqual(
    (await place.loot()).filter(({ role }) => role !== roles.app),
    [],
  );
});

test('a superuser’s worker gives nothing to the role that has installed pg-maint for itself', async (t) => {
  const place = await arena(t);
  await place.arm();
  const { install } = await import('../../src/worker/install.ts');
  await install(place.urlFor('evil'), { engine: 'worker' });
  await place.sql(
    'evil',
    `create function maint.spring() returns trigger language plpgsql as $f$ begin perform evil.pay('trigger of ' || tg_relid::regclass); return new; end $f$;
     do $do$ declare t regclass; begin
       for t in select c.oid from pg_class as c where relnamespace in ('maint'::regnamespace, to_regnamespace('maint_boss')) and relkind in ('r', 'p') and not relispartition loop
         execute format('create trigger spring before insert or update or delete on %s for each row execute function maint.spring()', t);
       end loop; end $do$;
     create or replace function maint.run(force boolean default false, "only" text[] default null, dry_run boolean default false)
       returns jsonb language plpgsql as $f$ begin perform evil.pay('run'); return '{"status": "success"}'; end $f$`,
  );
  const controller = new AbortController();
  const log: string[] = [];
  const { runWorker } = await import('../../src/worker/worker.ts');
  const ended = runWorker({
    urls: [place.database.url],
    signal: controller.signal,
    log: (line) => log.push(line),
  });
  // It says why it does not serve it, or serves it as that role and no more: both end in a line or a heartbeat.
  const deadline = Date.now() + 10_000;
  while (
    Date.now() < deadline &&
    log.length === 0 &&
    (await place.database.query('select from maint.worker')).length === 0
  )
    await new Promise((settle) => setTimeout(settle, 50));
  controller.abort();
  await ended;
  t.regex(log.join('\n'), new RegExp(place.roles.evil), 'it names the role that it does not trust');
  for (const words of [['status'], ['run'], ['doctor'], ['report', '--output', '-'], ['findings']])
    await command(...words, place.database.url);
  t.deepEqual(await place.loot(), []);
  t.deepEqual(await place.promoted(), []);
});
