/** A superuser's statement is planned again later, when what it names has been changed by the owner of the tables. */
import test from 'ava';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';
import { parseTexts } from '../support/workload.ts';
import { arena } from './arena.ts';

interface Bait {
  name: string;
  /** SQL of the attacker, harmless. */
  lay: string;
  /** SQL of the superuser, who sees nothing wrong with it. */
  take?: string;
  /** What the superuser runs once. */
  use: string;
  /** SQL of the attacker afterwards: planning `use` runs the payload from now on. */
  turn: string;
}

const baits: readonly Bait[] = [
  {
    name: 'a table becomes a view',
    lay: 'create table evil.t (a int)',
    use: 'select count(*) from evil.t where a = 1',
    turn: `alter table evil.t rename to t0;
      create view evil.t as select * from evil.t0 where evil.fact('a table becomes a view')`,
  },
  {
    name: 'a table gets an index',
    lay: 'create table evil.u (a int)',
    use: 'select count(*) from evil.u where a = 1',
    turn: `create index on evil.u (a) where evil.fact('a table gets an index')`,
  },
  {
    name: 'a view of the superuser reads it',
    lay: 'create table evil.w (a int)',
    take: 'create view shop.w as select a from evil.w',
    use: 'select count(*) from shop.w where a = 1',
    turn: `create index on evil.w (a) where evil.fact('a view of the superuser reads it')`,
  },
  {
    name: 'a function of the superuser reads it',
    lay: 'create table evil.x (a int)',
    take: `create function shop.x() returns setof int language sql stable as 'select a from evil.x'`,
    use: 'select count(*) from shop.x()',
    turn: `create index on evil.x (a) where evil.fact('a function of the superuser reads it')`,
  },
  {
    name: 'a partition of the superuser’s table',
    lay: 'create table evil.part (a int)',
    take: `create table shop.parted (a int) partition by list (a);
      alter table shop.parted attach partition evil.part for values in (1)`,
    use: 'select count(*) from shop.parted where a = 1',
    turn: `create index on evil.part (a) where evil.fact('a partition of the superuser’s table')`,
  },
  {
    name: 'a child of the superuser’s table',
    lay: 'create table evil.child (a int)',
    take: 'create table shop.parent (a int); alter table evil.child inherit shop.parent',
    use: 'select count(*) from shop.parent where a = 1',
    turn: `create index on evil.child (a) where evil.fact('a child of the superuser’s table')`,
  },
  {
    name: 'a type of its columns',
    lay: `create type evil.mood as enum ('a', 'b')`,
    take: 'create table shop.typed (a int, m evil.mood)',
    use: `select count(*) from shop.typed where lower(m::text) = 'a' and lower(m::text) > ''`,
    turn: `create function evil.mood_text(evil.mood) returns text language sql stable as
        $f$ select case when evil.fact('a type of its columns') then 'a' end $f$;
      create cast (evil.mood as text) with function evil.mood_text(evil.mood)`,
  },
  {
    name: 'a function of that name, better matched, in the search path',
    lay: `create table evil.unrelated (a int)`,
    take: 'create table shop.numbers (a int)',
    use: 'select count(*) from shop.numbers where round(3) = 3',
    turn: `create function evil.round(int) returns int language plpgsql immutable as
      $f$ begin perform evil.pay('a function of that name, better matched, in the search path'); return $1; end $f$`,
  },
  {
    name: 'a table without a schema',
    lay: 'create table evil.orders (a int)',
    use: 'select count(*) from orders where a = 1',
    turn: `alter table evil.orders rename to orders_old;
      create view evil.orders as select * from evil.orders_old where evil.fact('a table without a schema')`,
  },
];

/** What the server then plans, on another server or this one, it plans as the superuser: the mapping needs no password of one. */
const foreignTable = (database: string, port: string): Bait => ({
  name: 'a table becomes a foreign table',
  lay: 'create table evil.far (a int)',
  use: 'select count(*) from evil.far where a = 1',
  turn: `alter table evil.far rename to near;
    create view evil.seen as select a from evil.near where evil.fact('a table becomes a foreign table');
    create server loop foreign data wrapper postgres_fdw
      options (host '127.0.0.1', port '${port}', dbname '${database}', use_remote_estimate 'true');
    create user mapping for public server loop options (user 'postgres');
    create foreign table evil.far (a int) server loop options (schema_name 'evil', table_name 'seen')`,
});

test('a superuser’s statement is not planned again with what others have put into it', async (t) => {
  const place = await arena(t);
  const { database } = place;
  await database.query('create extension pg_stat_statements');
  await place.install();
  await place.arm();
  // A database whose sessions all find schema evil: the superuser's own too.
  await database.query(`alter database ${database.name} set search_path = public, evil; create schema shop;
    create table shop.own (a int)`);
  const dba = await database.client();
  const all = [...baits];
  if ((await place.extensions('postgres_fdw')).length > 0) {
    await database.query(`grant usage on foreign data wrapper postgres_fdw to ${place.roles.evil}`);
    all.push(foreignTable(database.name, new URL(database.url).port));
  }
  for (const { name, lay, take, use } of all) {
    await t.notThrowsAsync(place.sql('evil', lay), name);
    if (take) await dba.query(take);
    for (let call = 0; call < 3; call += 1) await t.notThrowsAsync(dba.query(use), name);
  }
  startWorker(t, database);
  // Other tests of the same server reset the counters.
  const counted = `select from maint.query_sample join maint.query_statement using (statement_id)
    join maint.query_text using (text_id) where text ~ 'shop.own where'`;
  while ((await database.query(counted)).length === 0) {
    await dba.query('select count(*) from shop.own where a = 1');
    for (const { use } of all) await dba.query(use);
    await place.run(['pattern_learning']);
  }
  await parseTexts(database.url);
  for (const { name, turn } of all) await t.notThrowsAsync(place.sql('evil', turn), name);
  await database.query(`select maint.configure('features.pattern_learning.slow_ms', '0.001')`);
  await place.run(['pattern_learning', 'train_query_risk']);
  await waitForRow(
    database,
    `select from maint.query_plan join maint.query_text using (text_id) where text ~ 'shop.own where'`,
    [],
    60,
  );
  t.deepEqual(await place.loot(), []);
  t.deepEqual(await place.promoted(), []);

  for (const { name, use } of all) {
    const control = await database.client();
    await control.query(`explain ${use}`);
    t.true(
      (await place.loot()).some(({ trap, role }) => trap === name && role === 'postgres'),
      `control: the trap works: ${name}`,
    );
  }
});

test('what needs a superuser in the first place: code that planning or DDL would call without a name', async (t) => {
  const place = await arena(t);
  await place.arm();
  await place.sql(
    'evil',
    `create function evil.on_ddl() returns event_trigger language plpgsql as $f$ begin perform evil.pay('event'); end $f$;
     create function evil.compare(int, int) returns int language sql immutable return 0`,
  );
  for (const statement of [
    'create event trigger spring on ddl_command_end execute function evil.on_ddl()',
    'create operator class evil.ops for type int using btree as function 1 evil.compare(int, int)',
    `create function evil.c() returns int language c as 'evil', 'evil'`,
    `create function evil.internal() returns text language internal as 'current_user'`,
    `create function evil.supported(int) returns int language sql support evil.compare return 1`,
    `create type evil.base (input = evil.fact, output = evil.fact)`,
    `create access method evil type index handler bthandler`,
    `alter system set search_path = 'evil'`,
    `alter role ${place.roles.app} set search_path = 'evil'`,
    `alter role postgres set search_path = 'evil'`,
    `set session_preload_libraries = 'evil'`,
    `set session_replication_role = replica`,
    `set log_min_messages = panic`,
    `alter default privileges for role postgres grant all on tables to ${place.roles.evil}`,
    `create subscription evil connection 'host=127.0.0.1' publication evil`,
    `create publication evil for all tables`,
    `security label on role ${place.roles.evil} is 'x'`,
    `copy (select 1) to program 'id'`,
    `select lo_import('/etc/passwd')`,
    `select pg_read_file('/etc/passwd')`,
    `load 'evil'`,
  ]) {
    await t.throwsAsync(place.sql('evil', statement), undefined, statement);
  }
});
