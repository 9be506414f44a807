/** What tests of planning share: an attacker's schema, statements in the history of any role, and what became of them. */
import { existsSync, rmSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import { createDatabase } from './database.ts';
import type { TestDatabase } from './database.ts';
import { trainNow } from './query-risk.ts';

export interface Scene {
  database: TestDatabase;
  /** An ordinary role that owns schema evil. */
  evil: string;
  /** An ordinary role with a table public.ours. */
  app: string;
  /** There when a command ran as a superuser. */
  loot: string;
  as(role: string, statements: string): Promise<void>;
}

/**
 * evil.pay() tries all that would give it more than its role has, and says in an error as whom it ran and what it
 * reached. evil.g() and others call it when they are planned with constants.
 */
export async function scene(t: ExecutionContext): Promise<Scene> {
  const database = await createDatabase(t, { template: 'installed' });
  const [evil, app] = [`evil_${database.name}`, `app_${database.name}`];
  const loot = `/var/tmp/pg_maint_loot_${database.name}`;
  await database.query(`create role ${evil} login; create role ${app} login;
    create schema evil authorization ${evil}; grant usage on schema evil to ${app};
    alter role ${evil} in database ${database.name} set search_path = evil;
    create table public.ours (a int); insert into public.ours values (1); alter table public.ours owner to ${app}`);
  t.teardown(async () => {
    rmSync(loot, { force: true });
    const administrator = await database.client();
    await administrator.query('reset role');
    for (const role of [evil, app])
      await administrator.query(`drop owned by ${role} cascade; drop role ${role}`);
  });
  const as = async (role: string, statements: string): Promise<void> => {
    const client = await database.client();
    await client.query(`set session authorization ${role}; set search_path = evil; ${statements}`);
    await client.end();
  };
  await as(
    evil,
    `create table evil.t (a int, b text, e int); insert into evil.t select g, 'x', g from generate_series(1, 100) g;
     create table evil.written (who text);
     create function evil.loot() returns text language plpgsql volatile as $f$ begin
       if (select rolsuper from pg_roles where rolname = current_user) then
         execute format('copy (select %L) to program %L', current_user, 'cat >> ${loot}');
       end if;
       return ''; end $f$;
     create function evil.pay() returns text language plpgsql volatile as $f$
     declare reached text := ''; attempt text;
     begin
       perform evil.loot();
       foreach attempt in array array['set role postgres', 'reset role', 'set session authorization default',
         'set session authorization postgres', 'set local role none', 'reset all', 'set transaction read write',
         'set transaction_read_only = off', 'insert into evil.written values (current_user)', 'create table evil.more ()',
         'declare kept cursor with hold for select evil.loot()', 'alter function pg_temp.explain_generic security invoker',
         'set search_path = evil', 'listen maint_work'] loop
         begin
           execute attempt;
           if attempt ~ '^(insert|create|alter|set trans)' then reached := reached || ', ' || attempt; end if;
         exception when others then null; end;
         if current_user <> '${evil}' then reached := reached || ', ' || current_user || ' by ' || attempt; end if;
       end loop;
       perform evil.loot();
       raise exception 'ran as %, reached: nothing%', current_user, reached;
     end $f$;
     create function evil.g(int) returns boolean language plpgsql immutable as $f$ begin perform evil.pay(); return true; end $f$;
     create function evil.gi(int) returns int language plpgsql immutable as $f$ begin perform evil.pay(); return 1; end $f$;
     create function evil.zero() returns int language plpgsql immutable as $f$ begin perform evil.pay(); return 1; end $f$;
     grant execute on all functions in schema evil to public; grant select, insert, update, delete on evil.t to public`,
  );
  return { database, evil, app, loot, as };
}

/** As if the role had run the statement, calls times, within the last hour. */
export async function remember(
  database: TestDatabase,
  role: string,
  text: string,
  { calls = 10, ms = 150 } = {},
): Promise<void> {
  await database.query(
    `with texts as (
       insert into maint.query_text as t (digest, text, length, verb, own, first_seen)
       values (md5($2), $2, length($2), lower(substring($2 from '^\\w+')), false, now())
       on conflict (digest) do update set own = false returning t.text_id
     ), statements as (
       insert into maint.query_statement (user_oid, database_oid, queryid, toplevel, text_id, first_seen, last_seen)
       select $1::regrole, (select oid from pg_database where datname = current_database()),
         hashtext($1 || $2), true, t.text_id, now(), now()
       from texts as t returning statement_id
     ), intervals as (
       insert into maint.query_interval (started_at, ended_at, snapshots, rolled_up, counters_lost, evictions, unreadable,
         statements)
       select now() - interval '1 hour', now(), 1, false, false, 0, 0, 0 returning interval_id
     )
     insert into maint.query_sample (interval_id, statement_id, verb, calls, total_exec_ms, total_plan_ms, row_count,
       shared_blks_hit, shared_blks_read, shared_blks_dirtied, shared_blks_written, temp_blks_read, temp_blks_written,
       blk_read_ms, blk_write_ms, wal_records, wal_bytes)
     select i.interval_id, s.statement_id, 'select', $3::int, $3::int * $4::float8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
     from statements as s, intervals as i`,
    [role, text, calls, ms],
  );
}

export interface Answer extends Record<string, unknown> {
  role: string;
  text: string;
  problem: string | null;
  reason: string | null;
  sqlstate: string | null;
}

/** One training; what it says of each statement, by the role and the text. */
export async function answers(database: TestDatabase): Promise<Map<string, Answer>> {
  await trainNow(database);
  const rows = await database.query<Answer>(
    `select distinct on (p.text_id, p.user_oid) pg_get_userbyid(p.user_oid) as role, t.text, p.problem, p.reason, p.sqlstate
     from maint.query_plan as p join maint.query_text as t using (text_id)
     order by p.text_id, p.user_oid, p.planned_at desc`,
  );
  return new Map(rows.map((row) => [`${row.role}: ${row.text}`, row]));
}

export function isLooted({ loot }: Scene): boolean {
  return existsSync(loot);
}
