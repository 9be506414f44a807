/** Traps of a table owner for whoever plans statements with other rights: each triggers the payload while it is planned. */

export interface Trap {
  name: string;
  /** SQL of the attacker. */
  set: string;
  /** A setting of the attacker's session. */
  before?: string;
  /** What the attacker then runs, so that it is in the history of statements. */
  use: string;
  /** How to spring it on purpose, for the control; EXPLAIN of `use` where it is left out. */
  spring?: string;
}

/** `evil.t (a int, b text, m evil.mood)`, large enough that an index would help. */
export const ground = `
  create type evil.mood as enum ('a', 'b');
  create table evil.t (a int, b text, m evil.mood default 'a');
  insert into evil.t (a, b) select g, repeat('x', 200) from generate_series(1, 20000) g;
  analyze evil.t;`;

export const traps: readonly Trap[] = [
  {
    name: 'view',
    set: `create view evil.v as select a from evil.t where evil.fact('view')`,
    use: 'select count(*) from evil.v',
  },
  {
    name: 'a function in the notation of a column',
    set: `create function evil.pwn(evil.t) returns boolean language sql stable as
      $f$ select evil.fact('a function in the notation of a column') $f$`,
    use: 'select count(*) from evil.t as t where t.pwn and a = 1',
  },
  {
    name: 'rule',
    set: `create table evil.ruled (a int);
      create rule r as on update to evil.ruled where evil.fact('rule') do also select 1`,
    use: 'update evil.ruled set a = 1 where a = 2',
  },
  {
    name: 'implicit cast',
    set: `create function evil.mood_text(evil.mood) returns text language sql stable as
        $f$ select case when evil.fact('implicit cast') then 'a' end $f$;
      create cast (evil.mood as text) with function evil.mood_text(evil.mood) as implicit`,
    use: `select count(*) from evil.t where lower(m) = 'a' and a = 1`,
  },
  {
    name: 'operator',
    set: `create function evil.same(int, int) returns boolean language plpgsql immutable as
        $f$ begin perform evil.pay('operator'); return true; end $f$;
      create operator evil.=== (leftarg = int, rightarg = int, function = evil.same)`,
    use: 'select count(*) from evil.t where 1 operator(evil.===) 1 and a = 1',
  },
  {
    name: 'operator that shadows =',
    set: `create function evil.eq(int, int) returns boolean language plpgsql immutable as
        $f$ begin perform evil.pay('operator that shadows ='); return true; end $f$;
      create schema shadows; create operator shadows.= (leftarg = int, rightarg = int, function = evil.eq)`,
    before: 'set search_path = shadows, pg_catalog',
    use: 'select count(*) from evil.t where 2 = 2 and a = 1',
  },
  {
    name: 'predicate of an index',
    set: `create table evil.partial (a int); create index on evil.partial (a) where evil.fact('predicate of an index')`,
    use: 'select count(*) from evil.partial where a = 5',
  },
  {
    name: 'two redundant partial indexes',
    set: `create table evil.twice (a int, b int);
      create index twice_1 on evil.twice (a) where evil.fact('two redundant partial indexes');
      create index twice_2 on evil.twice (a, b) where evil.fact('two redundant partial indexes') and a > 0`,
    use: 'select count(*) from evil.twice where a = 6',
  },
  {
    name: 'constraint',
    set: `create table evil.checked (a int);
      alter table evil.checked add constraint c check (evil.fact('constraint')) not valid`,
    use: 'select count(*) from evil.checked where a = 7',
    spring: `select evil.fact('constraint')`,
  },
  {
    name: 'column default',
    set: `create function evil.number(text) returns int language plpgsql immutable as
        $f$ begin perform evil.pay($1); return 1; end $f$;
      create table evil.defaults (a int, b int default evil.number('column default'))`,
    use: 'insert into evil.defaults (a) values (1)',
  },
  {
    name: 'generated column',
    set: `create table evil.made (a int, b boolean generated always as (evil.fact('generated column')) stored)`,
    use: 'insert into evil.made (a) values (1)',
    // Computed when a row is stored, not when it is planned.
    spring: 'insert into evil.made (a) values (2)',
  },
  {
    name: 'row security',
    set: `create table evil.secured (a int); alter table evil.secured enable row level security, force row level security;
      create policy p on evil.secured using (evil.fact('row security'))`,
    use: 'select count(*) from evil.secured where a = 8',
    spring: `select evil.fact('row security')`,
  },
  {
    name: 'domain',
    set: `create domain evil.small as int check (evil.fact('domain'));
      create function evil.small(int) returns evil.small language sql immutable as 'select $1::evil.small'`,
    use: 'select count(*) from evil.t where evil.small(1) = 1 and a = 1',
  },
  {
    name: 'table function',
    set: `create function evil.rows() returns setof int language sql stable as
      $f$ select a from evil.t where evil.fact('table function') $f$`,
    use: 'select count(*) from evil.rows()',
  },
  {
    name: 'aggregate in a view of a view',
    set: `create view evil.v1 as select a from evil.t where evil.fact('aggregate in a view of a view');
      create view evil.v2 with (security_barrier) as select max(a) as a from evil.v1`,
    use: 'select a from evil.v2 where a > 0',
  },
  {
    name: 'partition key',
    set: `create function evil.part(int) returns int language plpgsql immutable as
        $f$ begin perform evil.pay('partition key'); return $1; end $f$;
      create table evil.parted (a int) partition by range (evil.part(a));
      create table evil.part_1 partition of evil.parted for values from (0) to (100)`,
    use: 'select count(*) from evil.parted where evil.part(a) = evil.part(9)',
  },
  {
    name: 'index of a partition',
    set: `create table evil.many (a int) partition by list (a); create table evil.one partition of evil.many for values in (1);
      create index on evil.one (a) where evil.fact('index of a partition')`,
    use: 'select count(*) from evil.many where a = 1',
  },
  {
    name: 'statistics object',
    set: `create statistics evil.s on (a * 2), (case when evil.fact('statistics object') then a end) from evil.t`,
    use: 'select count(*) from evil.t where a * 2 = 10',
  },
  {
    name: 'a string that ends elsewhere',
    set: 'select 1',
    before: 'set standard_conforming_strings = off',
    use: `select '\\'; select evil.pay(''a string that ends elsewhere''); --' as x`,
    spring: `select evil.pay('a string that ends elsewhere')`,
  },
  {
    name: 'cursor that outlives the transaction',
    set: `create function evil.later() returns boolean language plpgsql immutable as $f$ begin perform evil.open_later(); return true; end $f$;
      create function evil.open_later() returns void language plpgsql as $f$
      begin
        execute $$declare "left behind" cursor with hold for select evil.pay('cursor that outlives the transaction')$$;
      exception when duplicate_cursor then null;
      end $f$`,
    use: 'select count(*) from evil.t where evil.later() and a = 1',
  },
  {
    name: 'prepared statement with the name of ours',
    set: `create function evil.prepared() returns boolean language plpgsql immutable as $f$ begin perform evil.prepare_ours(); return true; end $f$;
      create function evil.prepare_ours() returns void language plpgsql as $f$
      declare
        name text;
      begin
        foreach name in array array['maint_0', 'maint_1', 'maint_2', 'maint_plan_statement', 'pg-maint plans this'] loop
          begin
            execute pg_catalog.format('deallocate %I', name);
          exception when others then null;
          end;
          begin
            execute pg_catalog.format('prepare %I as select evil.pay(''prepared statement with the name of ours'')', name);
          exception when others then null;
          end;
        end loop;
      end $f$`,
    use: 'select count(*) from evil.t where evil.prepared() and a = 1',
    spring:
      'explain select count(*) from evil.t where evil.prepared() and a = 1; execute maint_0; deallocate all',
  },
  {
    name: 'settings left behind',
    set: `create function evil.now() returns timestamptz language plpgsql stable as
        $f$ begin perform evil.pay('settings left behind'); return pg_catalog.now(); end $f$;
      create function evil.settings() returns boolean language plpgsql immutable as $f$ begin perform evil.leave_settings(); return true; end $f$;
      create function evil.leave_settings() returns void language plpgsql as $f$
      begin
        perform pg_catalog.set_config('search_path', 'evil, pg_catalog', false),
          pg_catalog.set_config('default_transaction_read_only', 'on', false);
      end $f$`,
    use: 'select count(*) from evil.t where evil.settings() and a = 1',
    spring: `select evil.pay('settings left behind')`,
  },
];
