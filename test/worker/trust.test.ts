/** Whose schema maint a strong session uses: attacks by roles that could put code there. */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { connect } from '../../src/worker/connection.ts';
import { CouldNotRun } from '../../src/worker/errors.ts';
import { install } from '../../src/worker/install.ts';
import { openSession } from '../../src/worker/session.ts';
import { uninstall } from '../../src/worker/uninstall.ts';
import { runWorker } from '../../src/worker/worker.ts';
import { command } from '../support/cli.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

interface Attacker {
  name: string;
  database: TestDatabase;
  client: pg.Client;
  isSuperuser(): Promise<boolean>;
}

/** A role that may log in and owns the database of the test. */
async function attacker(t: ExecutionContext): Promise<Attacker> {
  const database = await createDatabase(t);
  const name = `evil_${randomBytes(6).toString('hex')}`;
  await database.query(`create role ${name} login`);
  await database.query(`alter database ${database.name} owner to ${name}`);
  const url = new URL(database.url);
  url.username = name;
  const client = new pg.Client(url.href);
  await client.connect();
  t.teardown(async () => {
    await client.end();
    await database.query(`alter role ${name} nosuperuser`);
    await database.query(`alter database ${database.name} reset all`);
    await database.query(`reassign owned by ${name} to postgres; drop owned by ${name}; drop role ${name}`);
  });
  return {
    name,
    database,
    client,
    async isSuperuser() {
      const [row] = await database.query<{ is: boolean }>(
        'select rolsuper as is from pg_roles where rolname = $1',
        [name],
      );
      return row?.is ?? false;
    },
  };
}

/** PL/pgSQL that makes the role a superuser in a session that has logged in as one, whatever role is set there. */
function takeOver(name: string): string {
  return `begin execute 'reset role'; execute 'alter role ${name} superuser'; exception when others then null; end;
    begin execute 'set session authorization default'; execute 'alter role ${name} superuser'; exception when others then null; end;`;
}

/** A schema that looks as if pg-maint were in it, with code in all that a worker could touch. */
async function fakeInstallation({ name, client }: Attacker): Promise<void> {
  await client.query(`
    create schema if not exists maint;
    create function maint.pwn() returns trigger language plpgsql as $$ begin ${takeOver(name)} return new; end $$;
    create function maint.pwned() returns jsonb language plpgsql as $$ begin ${takeOver(name)} return '{}'; end $$;
    create table maint.migration (version int, name text);
    create table maint.real (version text, engine text, bundle_sha256 text);
    insert into maint.real values ('0.1.0', 'worker', 'x');
    create table maint.installation (version text, engine text, bundle_sha256 text, made_queues boolean);
    insert into maint.installation values ('0.1.0', 'worker', 'x', false);
    create trigger pwn before insert or update or delete on maint.installation
      for each row execute function maint.pwn();
    create table maint.worker (worker_id text, last_seen timestamptz default (maint.pwned() ->> 'now')::timestamptz);
    create function maint.status() returns jsonb language sql as 'select maint.pwned()';
    create function maint.run(force boolean default false, "only" text[] default null, dry_run boolean default false)
      returns jsonb language sql as 'select maint.pwned()';
    create view maint.findings as select maint.pwned() as summary;
    create function maint.apply_grants() returns jsonb language sql as 'select maint.pwned()'`);
}

/** A worker for all databases, until it has said something about this one. */
async function workForAll(database: TestDatabase): Promise<string[]> {
  const stop = new AbortController();
  const log: string[] = [];
  const timer = setTimeout(() => {
    stop.abort();
  }, 30_000);
  await runWorker({
    urls: [database.url],
    allDatabases: true,
    signal: stop.signal,
    log: (line) => {
      if (!line.startsWith(`${database.name}: `)) return;
      log.push(line);
      stop.abort();
    },
  });
  clearTimeout(timer);
  return log;
}

test('a database whose owner has made a schema maint is left out by a worker for all, in one line', async (t) => {
  const evil = await attacker(t);
  await fakeInstallation(evil);
  const log = await workForAll(evil.database);
  t.is(log.length, 1);
  t.regex(log[0] ?? '', new RegExp(`left out: .*${evil.name}.*--trust-owner ${evil.name}`));
  t.false(await evil.isSuperuser());
});

test('no command of a superuser calls what another role has put into a schema maint', async (t) => {
  const evil = await attacker(t);
  await fakeInstallation(evil);
  for (const words of [
    ['status'],
    ['run', '--force'],
    ['findings'],
    ['report', '-o', '/dev/null'],
    ['config', 'show'],
    ['export', 'training'],
    ['install'],
    ['install', '--dry-run'],
    ['doctor'],
  ]) {
    const { code, error, out } = await command(...words, '-d', evil.database.url);
    t.not(code, 0, words.join(' '));
    t.regex(error + out, new RegExp(evil.name), words.join(' '));
    t.false(await evil.isSuperuser(), words.join(' '));
  }
  await t.throwsAsync(openSession(evil.database.url), { instanceOf: CouldNotRun, message: /not trusted/ });
  // The way out that it names: as the owner nothing is lost.
  const own = new URL(evil.database.url);
  own.username = evil.name;
  await evil.client.query('drop schema maint cascade');
  await install(own.href, { engine: 'worker' });
  const { code } = await command('status', '-d', own.href);
  t.is(code, 0);
  await t.throwsAsync(openSession(evil.database.url), { instanceOf: CouldNotRun });
  await uninstall(evil.database.url);
});

test('an operator that the owner of a database puts before those of the server is not called', async (t) => {
  const evil = await attacker(t);
  await fakeInstallation(evil);
  await evil.client.query(`
    create schema trap;
    create function trap.eq(name, name) returns boolean language plpgsql as $$ begin ${takeOver(evil.name)} return $1::text operator(pg_catalog.=) $2::text; end $$;
    create function trap.eq(name, text) returns boolean language plpgsql as $$ begin ${takeOver(evil.name)} return $1::text operator(pg_catalog.=) $2; end $$;
    create operator trap.= (leftarg = name, rightarg = name, function = trap.eq);
    create operator trap.= (leftarg = name, rightarg = text, function = trap.eq)`);
  await evil.database.query(`alter database ${evil.database.name} set search_path = trap, pg_catalog`);
  t.regex((await workForAll(evil.database)).join('\n'), /left out/);
  await t.throwsAsync(install(evil.database.url), { instanceOf: CouldNotRun });
  await t.throwsAsync(openSession(evil.database.url), { instanceOf: CouldNotRun });
  t.false(await evil.isSuperuser());
});

test('a role that the owner of a database sets for it does not become the owner of an installation', async (t) => {
  const evil = await attacker(t);
  await evil.client.query(`alter database ${evil.database.name} set role = ${evil.name}`);
  const client = await connect(evil.database.url);
  t.teardown(() => client.end());
  t.like((await client.query('select current_user as who')).rows[0], { who: 'postgres' });
  t.is((await install(evil.database.url)).owner, 'maint_owner');
});

test('an empty schema that somebody else made is not taken over, whichever of the three it is', async (t) => {
  for (const schema of ['maint', 'maint_boss', 'maint_privileged']) {
    const evil = await attacker(t);
    await evil.client.query(`create schema ${schema}`);
    const error = await t.throwsAsync(install(evil.database.url), { instanceOf: CouldNotRun });
    t.regex(error.message, new RegExp(`schema ${schema} .*belongs to ${evil.name}`));
    t.regex(error.fix ?? '', new RegExp(`drop schema ${schema}|rename`));
    t.deepEqual(await evil.database.query(`select nspname from pg_namespace where nspname ~ '^maint'`), [
      { nspname: schema },
    ]);
    await evil.client.query(`drop schema ${schema}`);
    t.is((await install(evil.database.url)).outcome, 'installed');
  }
});

test('an object of another role in the schemas, or a trigger that calls its function, stops an upgrade and a worker', async (t) => {
  const evil = await attacker(t);
  await install(evil.database.url);
  await evil.database.query(
    `grant create on schema maint, maint_boss to ${evil.name}; grant usage on schema maint, maint_boss to ${evil.name}`,
  );
  const refused = async (what: RegExp): Promise<void> => {
    t.regex((await t.throwsAsync(install(evil.database.url), { instanceOf: CouldNotRun })).message, what);
    t.regex((await t.throwsAsync(openSession(evil.database.url), { instanceOf: CouldNotRun })).message, what);
    t.false(await evil.isSuperuser());
  };
  await evil.client.query(
    `create function maint.config(path name) returns jsonb language plpgsql as $$ begin ${takeOver(evil.name)} return 'true'; end $$`,
  );
  await refused(/function maint.config\(name\) of evil_/);
  await evil.client.query('drop function maint.config(name)');
  await evil.database.query(`grant trigger on maint_boss.queue to ${evil.name}`);
  await evil.client
    .query(`create function public.pwn() returns trigger language plpgsql as $$ begin ${takeOver(evil.name)} return new; end $$;
    create trigger pwn before update on maint_boss.queue for each row execute function public.pwn()`);
  await refused(/trigger pwn on maint_boss.queue calls a function of evil_/);
  await evil.client.query('drop function public.pwn() cascade');
  await (await openSession(evil.database.url)).client.end();
  t.is((await install(evil.database.url)).outcome, 'already_installed');
});
