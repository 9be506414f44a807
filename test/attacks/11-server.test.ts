/** Attacks by roles and databases of the whole server, on a server of this file's own. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { startCluster } from '../../build/cluster.ts';
import type { Cluster } from '../../build/cluster.ts';
import { outDirectory } from '../../build/paths.ts';
import { findPostgres } from '../../build/postgres.ts';
import { run } from '../../build/run.ts';
import { runWorker } from '../../src/worker/worker.ts';
import { chosenPostgres } from '../cluster/own-cluster.ts';
import { temporaryFolder } from '../support/command.ts';
import { waitForRow } from '../support/maintenance.ts';
import { arena } from './arena.ts';
import type { Arena } from './arena.ts';

let cluster: Cluster;

test.before(async () => {
  cluster = await startCluster({ ephemeral: true, ...chosenPostgres() });
  process.env['MAINT_TEST_URL'] = cluster.url;
});

test.after.always(async () => {
  await cluster.stop('immediate');
});

/** pg-maint as the attacker would have it: what a worker reads and writes first, each with a trap. */
const fakeInstallation = `
  create schema maint;
  create table maint.installation (version text, engine text, bundle_sha256 text, made_queues boolean);
  insert into maint.installation values ('0.1.0', 'worker', '', false);
  create table maint.migration (version int, name text);
  create table maint.worker (worker_id text);
  create function maint.spring() returns trigger language plpgsql as $f$ begin perform evil.pay('trigger'); return new; end $f$;
  create trigger spring before insert or update or delete on maint.installation for each row execute function maint.spring();
  create trigger spring before insert or update or delete on maint.worker for each row execute function maint.spring();
  create function maint.config(path text default '') returns jsonb language plpgsql as $f$ begin perform evil.pay('config'); return '{}'; end $f$;
  create schema maint_boss;
  create table maint_boss.version (version int); insert into maint_boss.version values (1);
  create table maint_boss.job (name text); create table maint_boss.queue (name text);
  create trigger spring before insert or update or delete on maint_boss.version for each row execute function maint.spring()`;

test.serial('a worker for all databases serves none whose owner has made a maint of their own', async (t) => {
  t.timeout(100_000);
  const honest = await arena(t);
  const hostile = await arena(t, { owner: 'evil' });
  const own = await arena(t, { owner: 'evil' });
  await honest.install();
  await hostile.arm();
  await hostile.sql('evil', fakeInstallation);
  const { install } = await import('../../src/worker/install.ts');
  await own.arm();
  await install(own.urlFor('evil'), { engine: 'worker' });
  await own.sql(
    'evil',
    `create or replace function maint.config(path text default '') returns jsonb language plpgsql as
       $f$ begin perform evil.pay('config of an installation'); return '{}'; end $f$`,
  );
  const log: string[] = [];
  const controller = new AbortController();
  const ended = runWorker({
    urls: [cluster.url],
    allDatabases: true,
    lookEveryMs: 200,
    signal: controller.signal,
    log: (line) => log.push(line),
  });
  t.teardown(() => {
    controller.abort();
  });
  await waitForRow(honest.database, 'select from maint.worker', [], 60);
  await waitForRow(
    honest.database,
    `select from pg_stat_activity where application_name ~ '^pg-maint'`,
    [],
    20,
  );
  await honest.run(['bypass_status']);
  controller.abort();
  await ended;
  for (const place of [hostile, own]) {
    t.deepEqual(await place.loot(), []);
    t.deepEqual(await place.promoted(), []);
    t.true(
      log.some((line) => line.includes(place.database.name) && line.includes(place.roles.evil)),
      log.join('\n'),
    );
  }
  await hostile.database.query(`update maint.installation set made_queues = true`);
  t.true((await hostile.loot()).length > 0, 'control');
});

async function psqlInstall(t: Parameters<typeof temporaryFolder>[0], place: Arena): Promise<boolean> {
  const folder = temporaryFolder(t);
  const { readManifest } = await import('../../src/worker/manifest.ts');
  const { installScripts } = await import('../../src/worker/install-script.ts');
  const manifest = readManifest();
  writeFileSync(
    join(folder, 'install.sql'),
    installScripts(manifest)[`pg-maint--${manifest.version}.sql`] ?? '',
  );
  const postgres = await findPostgres({ headers: false });
  const { code } = await run(
    join(postgres!.binDirectory, 'psql'),
    ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', place.database.url, '-f', join(folder, 'install.sql')],
    { allowFailure: true, cwd: outDirectory },
  );
  return code === 0;
}

test.serial(
  'a role maint_owner that others can act as is not taken, by install or by the script',
  async (t) => {
    t.timeout(100_000);
    for (const [make, undo] of [
      ['grant maint_owner to EVIL', 'revoke maint_owner from EVIL'],
      [`alter role maint_owner login password 'known'`, 'alter role maint_owner nologin'],
      ['alter role maint_owner createrole', 'alter role maint_owner nocreaterole'],
      ['alter role maint_owner superuser', 'alter role maint_owner nosuperuser'],
    ] as const) {
      const place = await arena(t);
      const { database, roles } = place;
      await database.query(
        'do $$ begin create role maint_owner; exception when duplicate_object then null; end $$',
      );
      await database.query(make.replace('EVIL', roles.evil));
      await t.throwsAsync(place.install(), { message: /maint_owner/ }, make);
      t.false(await psqlInstall(t, place), `the script: ${make}`);
      t.deepEqual(await database.query(`select from pg_namespace where nspname ~ '^maint'`), []);
      await database.query(undo.replace('EVIL', roles.evil));
      t.is((await place.install()).owner, 'maint_owner', 'honest use');
    }
  },
);

test.serial(
  'who becomes a member of maint_owner later stops the superuser’s sessions, and gains nothing',
  async (t) => {
    t.timeout(100_000);
    const place = await arena(t);
    const { database, roles } = place;
    await place.install();
    await place.arm();
    await database.query(`grant maint_owner to ${roles.evil}`);
    t.teardown(async () => {
      await database.query(`revoke maint_owner from ${roles.evil}`).catch(() => undefined);
    });
    const evil = await place.as('evil');
    await evil.query(`set role maint_owner`);
    await evil.query(`create or replace function maint.status() returns jsonb language plpgsql as
    $f$ begin perform evil.pay('status'); return '{}'; end $f$`);
    const { command } = await import('../support/cli.ts');
    for (const words of [['status'], ['doctor'], ['findings'], ['run']])
      await command(...words, database.url);
    t.deepEqual(
      (await place.loot()).filter(({ role }) => role === 'postgres'),
      [],
    );
  },
);

test.serial('the script for psql adopts no schema of another role', async (t) => {
  t.timeout(100_000);
  for (const schema of ['maint', 'maint_boss', 'maint_privileged']) {
    const place = await arena(t);
    await place.sql('evil', `create schema ${schema}`);
    const installed = await psqlInstall(t, place);
    const [owner] = await place.database.query<{ owner: string }>(
      `select pg_get_userbyid(nspowner) as owner from pg_namespace where nspname = $1`,
      [schema],
    );
    t.is(owner!.owner, place.roles.evil);
    if (schema === 'maint') t.false(installed);
  }
});
