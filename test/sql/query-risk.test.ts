import test from 'ava';
import type { ExecutionContext } from 'ava';
import { install } from '../../src/worker/install.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { queryRisk } from '../support/query-risk.ts';
import { provideRoles } from '../support/roles.ts';

async function withTable(t: ExecutionContext): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`create table target (id int primary key, a text); insert into target values (1, 'kept');
    create sequence counter; create table log (what text)`);
  return database;
}

/** Whether anything is other than withTable left it. */
async function untouched(database: TestDatabase): Promise<boolean> {
  const [row] = await database.query<{ ok: boolean }>(
    `select (select count(*) from target) = 1 and (select count(*) from log) = 0
       and not (select is_called from counter) and to_regclass('made') is null
       and not exists (select from pg_prepared_statements where from_sql)
       and not exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())
       and current_setting('transaction_read_only') = 'off' as ok`,
  );
  return row!.ok;
}

for (const [statement, reason] of [
  ['select 1; delete from target', 'several_statements'],
  ['select $1; delete from target', 'several_statements'],
  ["select 'a'';'; delete from target; --'", 'several_statements'],
  ['select $$;$$ /* ; */ ; delete from target', 'several_statements'],
  ['delete from target; commit; delete from target', 'several_statements'],
  ['drop table target', 'not_plannable'],
  ['create table made as select * from target', 'not_plannable'],
  ['select * into made from target', null],
  ['explain analyze delete from target', 'not_plannable'],
  ['analyze target', 'not_plannable'],
  ['(analyze, format json) delete from target', 'not_plannable'],
  ['analyze delete from target', 'not_plannable'],
  ['execute anything(nextval($$counter$$))', 'not_plannable'],
  ['do $$ begin delete from target; end $$', 'not_plannable'],
  ['call anything()', 'not_plannable'],
  ['commit', 'not_plannable'],
  ['copy target to program $$id$$', 'not_plannable'],
  ['truncate target', 'not_plannable'],
  ['delete from target', null],
  ["insert into log values ('x') returning nextval('counter')", null],
  ['with gone as (delete from target returning *) insert into log select a from gone', null],
  ["update target set a = nextval('counter')::text where id = $1", null],
  ["select nextval('counter'), pg_advisory_lock(1), set_config('transaction_read_only', 'on', false)", null],
  ['select * from target where id = $1 for update', null],
  ['select nothing from nowhere', 'not_planned'],
  ['selct 1', 'not_plannable'],
  ['select from where', 'not_planned'],
  ['select $2', 'not_planned'],
  ['', 'empty'],
  ['-- only a comment', 'empty'],
  [`select '${'x'.repeat(1_000_000)}'`, 'too_long'],
  [`select ${'('.repeat(150_000)}1`, 'not_planned'],
] as const) {
  test(`never runs ${statement.slice(0, 60)}`, async (t) => {
    const database = await withTable(t);
    const answer = await queryRisk(database, statement);
    t.is(answer.decision, 'allow');
    if (reason !== null) t.true(answer.reasons[0]!.startsWith(reason), JSON.stringify(answer.reasons));
    t.true(await untouched(database));
  });
}

test('null is an empty statement', async (t) => {
  const database = await withTable(t);
  t.deepEqual(await queryRisk(database, null), {
    risk: null,
    decision: 'allow',
    reasons: ['empty'],
    expected_ms: null,
    confidence: 0,
    model_id: null,
  });
});

test('SELECT 1 is allowed with no risk, and without a model all is', async (t) => {
  const database = await withTable(t);
  const one = await queryRisk(database, 'select 1');
  t.deepEqual([one.risk, one.decision, one.reasons], [0, 'allow', ['no_table']]);
  t.deepEqual((await queryRisk(database, 'select * from target where id = $1')).reasons, ['no_model']);
});

test('functions that planning calls change nothing, and can’t ask for another answer', async (t) => {
  const database = await withTable(t);
  await database.query(`
    create function writes() returns int language plpgsql immutable as $$
      begin execute 'delete from target'; perform nextval('counter'); return 1; end $$;
    create function escapes() returns int language plpgsql immutable as $$
      begin
        perform set_config('transaction_read_only', 'off', false);
        execute 'delete from target'; return 1;
      end $$;
    create function asks() returns int language plpgsql immutable as $$
      begin
        if maint.query_risk('select 1') ->> 'decision' = 'allow'
          and maint.query_risk('select 1') -> 'reasons' ->> 0 = 'recursion' then return 1; end if;
        raise exception 'not recursion';
      end $$`);
  for (const name of ['writes', 'escapes']) {
    const answer = await queryRisk(database, `select * from target where id = ${name}()`);
    t.regex(answer.reasons[0]!, /^not_planned/, name);
    t.true(await untouched(database), name);
  }
  const answer = await queryRisk(database, 'select * from target where id = asks()');
  t.deepEqual(answer.reasons, ['no_model']);
});

test('it plans with the rights and the search_path of the caller', async (t) => {
  const database = await withTable(t);
  await provideRoles(database);
  await database.query(`select maint.apply_grants(); create schema other; create table other.mine (id int);
    grant usage on schema other to maint_reader; grant select on other.mine to maint_reader`);
  const reader = await database.client();
  await reader.query('set role maint_reader; set search_path = other');
  const ask = async (text: string): Promise<string> => {
    const { rows } = await reader.query<{ reason: string }>(
      `select maint.query_risk($1) -> 'reasons' ->> 0 as reason`,
      [text],
    );
    return rows[0]!.reason;
  };
  t.is(await ask('select * from mine'), 'no_model');
  t.regex(await ask('select * from public.target'), /^not_planned: permission denied/);
  t.regex(await ask('select * from maint.model'), /^not_planned: permission denied/);
  const plain = await database.client();
  await plain.query('set role test_plain');
  await t.throwsAsync(plain.query(`select maint.query_risk('select 1')`), { code: '42501' });
});

test('it works in a read-only transaction, waits for no lock, and leaves a failed one to its end', async (t) => {
  const database = await withTable(t);
  const holder = await database.client();
  await holder.query('begin; lock table target in access exclusive mode');
  const client = await database.client();
  await client.query('begin read only');
  const { rows } = await client.query<{ answer: { reasons: string[] } }>(
    `select maint.query_risk('select * from target') as answer`,
  );
  t.regex(rows[0]!.answer.reasons[0]!, /^not_planned/);
  await holder.query('rollback');
  const again = await client.query<{ answer: { reasons: string[] } }>(
    `select maint.query_risk('select * from target where id = $1') as answer`,
  );
  t.deepEqual(again.rows[0]!.answer.reasons, ['no_model']);
  await client.query('commit');
});

test('what a cancelled call has left is cleared away, and a semicolon in a constant is none', async (t) => {
  const database = await withTable(t);
  const client = await database.client();
  const ask = async (text: string): Promise<string> => {
    const { rows } = await client.query<{ reason: string }>(
      `select maint.query_risk($1) -> 'reasons' ->> 0 as reason`,
      [text],
    );
    return rows[0]!.reason;
  };
  await client.query('prepare "pg-maint plans this" as select 1');
  t.is(await ask('select * from target where id = $1'), 'no_model');
  t.is(await ask(`select * from target where a = 'x;y' and id = $1`), 'no_model');
  t.is(await ask('select ";" from (select a as ";" from target where id = $1) as t'), 'no_model');
  t.regex(await ask(`select * from target where nothing = 'x;y' and id = $1`), /^not_planned/);
  const { rows } = await client.query('select from pg_prepared_statements where from_sql');
  t.is(rows.length, 0);
});

test('a statement that raises the state of a prepared one that is there already ends all the same', async (t) => {
  const database = await withTable(t);
  await database.query(`create function raises() returns int language plpgsql immutable as $$
    begin raise exception using errcode = '42P05', message = 'already there'; end $$`);
  const answer = await queryRisk(database, 'select * from target where id = raises() and a = $1');
  t.deepEqual(answer.reasons, ['not_planned: already there']);
  t.true(await untouched(database));
});

test('a server without a JavaScript language says so', async (t) => {
  const database = await createDatabase(t);
  await install(database.url, { engine: 'worker' });
  const answer = await queryRisk(database, 'select 1');
  t.regex(answer.reasons[0]!, /^not_available/);
  t.is(answer.decision, 'allow');
});
