/**
 * Planning runs code. Whatever a role puts in the way of a statement, it runs as the role that ran the statement, in a
 * transaction that can write nothing; and in the way of a superuser's statement it does not run at all.
 */
import test from 'ava';
import { answers, isLooted, remember, scene } from '../support/planning.ts';

/** Each: what evil prepares, and the statement in whose way it is. */
const kinds: Record<string, [prepared: string, text: string]> = {
  'a function of constants': [``, `select evil.zero()`],
  'a function in the notation of a column': [
    `create function evil.pwn(evil.t) returns boolean language sql stable as 'select evil.g(1)'`,
    `select count(*) from evil.t as t where t.pwn and t.a = $1`,
  ],
  'a rule': [
    `create rule r as on update to evil.t where evil.g(1) do also select 1`,
    `update evil.t set e = $1 where a = $2`,
  ],
  'a cast': [
    `create type evil.mood as enum ('a', 'b'); alter table evil.t add m evil.mood default 'a';
     create function evil.mood2text(evil.mood) returns text language sql stable as 'select evil.zero()::text';
     create cast (evil.mood as text) with function evil.mood2text(evil.mood) as implicit`,
    `select count(*) from evil.t as t where lower(t.m) = $1`,
  ],
  'a view': [
    `create view evil.v as select * from evil.t where evil.g(1)`,
    `select * from evil.v where a = $1`,
  ],
  'a view of a view': [
    `create view evil.v as select * from evil.t where evil.g(1); create view evil.vv as select * from evil.v`,
    `select * from evil.vv where a = $1`,
  ],
  'an operator': [
    `create function evil.eq(int, int) returns boolean language sql stable as 'select evil.g(1)';
     create operator evil.=== (leftarg = int, rightarg = int, function = evil.eq)`,
    `select * from evil.t where a operator(evil.===) $1`,
  ],
  'an index expression': [
    `create function evil.calm(int) returns int language sql immutable as 'select 1'; create index on evil.t ((evil.calm(1) + a));
     create or replace function evil.calm(int) returns int language plpgsql immutable as $f$ begin perform evil.pay(); return 1; end $f$`,
    `select * from evil.t where a + 1 = $1`,
  ],
  'the predicate of an index': [
    `create function evil.calm(int) returns boolean language sql immutable as 'select true'; create index on evil.t (a) where evil.calm(1);
     create or replace function evil.calm(int) returns boolean language plpgsql immutable as $f$ begin perform evil.pay(); return true; end $f$`,
    `select * from evil.t where a = $1`,
  ],
  'a policy for rows': [
    `create policy p on evil.t using (evil.g(1)); alter table evil.t enable row level security; alter table evil.t force row level security`,
    `select * from evil.t where a = $1`,
  ],
  'a constraint of a child': [
    `create function evil.calm(int) returns boolean language sql immutable as 'select true';
     create table evil.child (check (a > 0 or evil.calm(1))) inherits (evil.t);
     create or replace function evil.calm(int) returns boolean language plpgsql immutable as $f$ begin perform evil.pay(); return true; end $f$`,
    `select * from evil.t where a = $1`,
  ],
  'a default': [
    `create table evil.d (a int, b int default evil.zero())`,
    `insert into evil.d (a) values ($1)`,
  ],
  'a generated column': [
    `create function evil.calm(int) returns int language sql immutable as 'select 1';
     create table evil.d (a int, b int generated always as (a + evil.calm(1)) stored);
     create or replace function evil.calm(int) returns int language plpgsql immutable as $f$ begin perform evil.pay(); return 1; end $f$`,
    `insert into evil.d (a) values ($1)`,
  ],
  'a function in FROM that is inlined': [
    `create function evil.rows() returns table (n int) language sql stable as 'select evil.zero()'`,
    `select * from evil.rows() as r where r.n = $1`,
  ],
  'a limit': [
    `create function evil.few() returns bigint language plpgsql stable as $f$ begin perform evil.pay(); return 1; end $f$`,
    `select * from evil.t limit evil.few()`,
  ],
  'a sample': [
    `create function evil.part() returns real language plpgsql stable as $f$ begin perform evil.pay(); return 1; end $f$`,
    `select * from evil.t tablesample system (evil.part()) where a = $1`,
  ],
  'an aggregate': [
    `create aggregate evil.sum_of(int) (sfunc = pg_catalog.int4pl, stype = int, initcond = '0'); create view evil.v as
     select evil.sum_of(evil.zero()) as s from evil.t`,
    `select s from evil.v`,
  ],
  'an estimate of a stable function': [
    `create function evil.about() returns int language plpgsql stable as $f$ begin perform evil.pay(); return 1; end $f$`,
    `select * from evil.t where a < evil.about()`,
  ],
  'extended statistics': [
    `create function evil.calm(int) returns int language sql immutable as 'select 1';
     create statistics evil.s on (evil.calm(1) + a), (e + 1) from evil.t; analyze evil.t;
     create or replace function evil.calm(int) returns int language plpgsql immutable as $f$ begin perform evil.pay(); return 1; end $f$`,
    `select * from evil.t where a = $1 and e + 1 = $2`,
  ],
  'a domain': [
    `create domain evil.positive as int check (evil.gi(value) > 0)`,
    `select $1::evil.positive, array[$2]::evil.positive[] from evil.t`,
  ],
  'a partition key': [
    `create function evil.calm(int) returns int language sql immutable as 'select $1';
     create table evil.p (a int) partition by list ((evil.calm(a))); create table evil.p1 partition of evil.p for values in (1);
     create or replace function evil.calm(int) returns int language plpgsql immutable as $f$ begin perform evil.pay(); return 1; end $f$`,
    `select * from evil.p where evil.calm(a) = evil.calm(1)`,
  ],
  'a foreign key': [
    `create table evil.k (a int primary key); create table evil.f (a int references evil.k)`,
    `select * from evil.f join evil.k using (a)`,
  ],
};

for (const [kind, [prepared, text]] of Object.entries(kinds)) {
  test(`${kind}: as the role itself, and not for a superuser`, async (t) => {
    const made = await scene(t);
    const { database, evil, app, as } = made;
    if (prepared !== '') await as(evil, prepared);
    await remember(database, 'postgres', text);
    await remember(database, evil, text);
    await remember(database, app, 'select * from public.ours where a = $1');
    const said = await answers(database);
    const ofSuperuser = said.get(`postgres: ${text}`);
    t.is(ofSuperuser?.problem, 'not_planned');
    t.regex(
      ofSuperuser?.reason ?? '',
      new RegExp(`^(it names .*evil.*which belongs to ${evil}|column t.pwn does not exist)$`),
    );
    const own = said.get(`${evil}: ${text}`);
    if (own?.problem !== null) t.is(own?.reason, `ran as ${evil}, reached: nothing`);
    t.false(isLooted(made));
    t.is(
      said.get(`${app}: select * from public.ours where a = $1`)?.problem,
      null,
      'honest statements are planned',
    );
    t.deepEqual(await database.query('select * from evil.written'), []);
  });
}

test('a superuser’s statements are planned where all belongs to superusers', async (t) => {
  const { database } = await scene(t);
  await database.query(
    `create table public.good (a int primary key, b text default 'x', check (a > 0)); create view public.seen as select * from public.good where b is not null;
     create function public.twice(n int) returns int immutable begin atomic select n * 2; end;
     create extension pg_trgm; create index on public.good using gin (b gin_trgm_ops); create type public.mood as enum ('a');
     create domain public.even as int check (value % 2 = 0);
     create table public.part (a int, m public.mood, e public.even) partition by list (a); create table public.part1 partition of public.part default`,
  );
  const texts = [
    'select * from good where a = $1',
    'select s.a, count(*) from seen as s where b like $1 group by s.a order by 1',
    'select similarity(b, $1) from public.good where a = public.twice($2)',
    'insert into good (a) values ($1) on conflict (a) do update set b = $2',
    'with gone as (delete from good where a = $1 returning a) select * from gone',
    'select * from part where a = $1 and m = $2',
    'select $1 + pg_catalog.length($2)',
    'select relname from pg_class where oid = $1 and relname like $2',
  ];
  for (const text of texts) await remember(database, 'postgres', text);
  const said = await answers(database);
  for (const text of texts) t.is(said.get(`postgres: ${text}`)?.reason, null, text);
});

test('what a superuser owns is not enough where others can put code behind it', async (t) => {
  const made = await scene(t);
  const { database, evil, as } = made;
  await database.query(
    `create table evil.trusted (a int); create view public.of_evil as select * from evil.t;
     create schema open; grant create on schema open to ${evil}; create table open.t (a int);
     create function public.calls() returns int language sql immutable as 'select evil.zero()';
     create function public.calls_too() returns int language plpgsql immutable as $$ begin return evil.zero(); end $$;
     create table public.plain (a int); create role dba_${database.name} superuser;
     alter role dba_${database.name} in database ${database.name} set search_path = evil, public`,
  );
  t.teardown(async () => {
    const administrator = await database.client();
    await administrator.query(`drop owned by dba_${database.name}; drop role dba_${database.name}`);
  });
  await as(
    evil,
    `create type evil.pair as (a int); create function evil.plus(public.plain) returns int language sql as 'select evil.zero()'`,
  );
  const cases: [role: string, text: string, reason: RegExp][] = [
    ['postgres', 'select * from evil.trusted where a = $1', /schema evil, which belongs to evil_/],
    ['postgres', 'select * from public.of_evil where a = $1', /evil.*which belongs to evil_/],
    ['postgres', 'select * from open.t where a = $1', /schema open, in which others may create objects/],
    ['postgres', 'select public.calls()', /calls\(\), whose body the server keeps as text/],
    ['postgres', 'select public.calls_too()', /calls_too\(\), whose body the server keeps as text/],
    ['postgres', `select * from public.plain as p where evil.plus(p) = $1`, /evil\.plus|schema evil/],
    ['postgres', `select $1::evil.pair, '(1)'::evil.pair`, /which belongs to evil_/],
    [
      `dba_${database.name}`,
      'select * from plain where a = $1',
      /search_path has schema evil, which does not belong/,
    ],
  ];
  for (const [role, text] of cases) await remember(database, role, text);
  const said = await answers(database);
  for (const [role, text, reason] of cases) t.regex(said.get(`${role}: ${text}`)?.reason ?? '', reason, text);
  t.false(isLooted(made));
});

test('roles with rights of the server or of pg-maint count as superusers', async (t) => {
  const made = await scene(t);
  const { database, evil, as } = made;
  const role = `writer_${database.name}`;
  await database.query(
    `create role ${role}; grant pg_execute_server_program to ${role}; grant usage on schema evil to ${role}`,
  );
  t.teardown(async () => {
    const administrator = await database.client();
    await administrator.query(`drop owned by ${role}; drop role ${role}`);
  });
  await as(evil, 'create view evil.v as select * from evil.t where evil.g(1)');
  await remember(database, role, 'select * from evil.v where a = $1');
  t.regex(
    (await answers(database)).get(`${role}: select * from evil.v where a = $1`)?.reason ?? '',
    /belongs to evil_/,
  );
});

test('a table that a superuser looked at is a view of another by the time of the training (A6)', async (t) => {
  const made = await scene(t);
  const { database, evil, as } = made;
  await remember(database, 'postgres', 'select count(*) from evil.t where a = $1');
  await as(
    evil,
    `alter table evil.t rename to t0; create view evil.t as select * from evil.t0 where evil.g(1)`,
  );
  const said = await answers(database);
  t.regex(
    said.get('postgres: select count(*) from evil.t where a = $1')?.reason ?? '',
    /^it names .*belongs to evil_/,
  );
  t.false(isLooted(made));
});
