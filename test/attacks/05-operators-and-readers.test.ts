/** What maint_operator and maint_reader may do, they may do and nothing more: not become the owner, not see others’ texts. */
import test from 'ava';
import pg from 'pg';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';
import { arena } from './arena.ts';
import type { Arena } from './arena.ts';

async function outcome(client: pg.Client, text: string): Promise<string> {
  try {
    await client.query(text);
    return 'done';
  } catch (error) {
    return error instanceof pg.DatabaseError ? (error.code ?? 'no code') : String(error);
  } finally {
    await client.query('rollback').catch(() => undefined);
  }
}

async function ownerOf(place: Arena): Promise<string> {
  const [row] = await place.database.query<{ owner: string }>(
    `select pg_get_userbyid(nspowner) as owner from pg_namespace where nspname = 'maint'`,
  );
  return row!.owner;
}

test('no way leads from operator or reader to the owner', async (t) => {
  const place = await arena(t);
  const { database } = place;
  await place.install();
  await place.arm();
  const owner = await ownerOf(place);
  const tables = await database.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class as c
     where c.relnamespace = 'maint'::regnamespace and c.relkind = 'r' order by name`,
  );
  t.true(tables.length > 10);
  const refused = [
    `set role ${owner}`,
    `set session authorization ${owner}`,
    'set session authorization postgres',
    `grant ${owner} to current_user`,
    'grant maint_operator to public',
    'create table maint.mine (a int)',
    'create function maint.mine() returns int language sql return 1',
    'create function maint_boss.mine() returns int language sql return 1',
    'drop function maint.run(boolean, text[], boolean)',
    'drop schema maint cascade',
    'drop view maint.findings',
    'alter function maint.run(boolean, text[], boolean) security invoker',
    `alter function maint.run(boolean, text[], boolean) set search_path = evil`,
    'alter schema maint rename to gone',
    `comment on function maint.run(boolean, text[], boolean) is 'Internal: mine'`,
    'select * from maint_boss.job',
    `insert into maint_boss.job (name) values ('maint_action')`,
    'select maint.apply_grants()',
    `select maint.enqueue('maint_training', '{}')`,
    'select maint.enqueue_action(1)',
    `select maint.record_step(1, '{}')`,
    `select maint.queue_action(1, '{}')`,
    ...tables.flatMap(({ name }) => [
      `delete from ${name}`,
      `select * from ${name}`,
      `create trigger spring before insert on ${name} for each row execute function evil.spring()`,
      `create rule r as on insert to ${name} do also select 1`,
      `create policy p on ${name}`,
      `lock table ${name} in access exclusive mode`,
      `create table child () inherits (${name})`,
      `alter table ${name} add column b int`,
      `comment on table ${name} is 'x'`,
      `create statistics s on run_id, finding_id from ${name}`,
    ]),
  ];
  await place.sql(
    'evil',
    `create function evil.spring() returns trigger language plpgsql as $f$ begin perform evil.pay('x'); return new; end $f$`,
  );
  for (const role of ['operator', 'reader', 'evil'] as const) {
    const client = await place.as(role);
    const passed: string[] = [];
    for (const statement of refused)
      if ((await outcome(client, statement)) === 'done') passed.push(statement);
    t.deepEqual(passed, [], role);
  }
  const privileged = await database.query<{ name: string }>(
    `select p.oid::regprocedure::text as name from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace,
       unnest($1::text[]) as r (role)
     where n.nspname in ('maint_privileged', 'maint_boss') and has_schema_privilege(r.role, n.oid, 'usage')
       and has_function_privilege(r.role, p.oid, 'execute')`,
    [[place.roles.operator, place.roles.reader, place.roles.evil]],
  );
  t.deepEqual(privileged, []);
  t.deepEqual(await place.promoted(), []);
  const operator = await place.as('operator');
  t.is(await outcome(operator, 'select maint.run(true)'), 'done', 'honest use');
});

test('what an operator passes to a function is data', async (t) => {
  const place = await arena(t);
  const { database, roles } = place;
  await place.install();
  await place.arm();
  const operator = await place.as('operator');
  const hostile = [
    `'); select evil.pay(''text''); --`,
    `$$; select evil.pay('text'); $$`,
    `x" ; select evil.pay('text'); "`,
    `{"__proto__": {"polluted": true}}`,
    `\\'; select evil.pay('text') --`,
    `*`,
    `..`,
    `maint.run`,
    `\n\\! touch /tmp/x\n`,
    '%s %I %L $1',
    'a'.repeat(100_000),
  ];
  const calls = [
    'select maint.run(true, array[$1])',
    'select maint.configure($1, to_jsonb(1))',
    `select maint.configure('features.index_health.bloat_threshold', to_jsonb($1::text))`,
    `select maint.configure('features.index_health.auto_reindex', 'false', $1)`,
    `select maint.configure('features.advisory_lock_cleanup.terminate_applications', to_jsonb(array[$1::text]))`,
    'select maint.config($1)',
    'select maint.reset($1)',
    `select maint.reset('features.index_health.bloat_threshold', $1)`,
    `select maint.bypass($1, 'a reason', now() + interval '1 hour')`,
    `select maint.bypass('index_health', $1, now() + interval '1 hour')`,
    'select maint.unbypass($1)',
    'select maint.query_risk($1)',
    `select maint.explain_generic($1, 0, null, null)`,
    `select maint.explain_generic('select 1', 0, null, $1)`,
    `select maint.explain_generic('select 1; select 2', 1, $1, null)`,
    `select maint.plan_facts(jsonb_build_object('relations', jsonb_build_array(jsonb_build_array($1::text, $1::text, true)), 'functions', jsonb_build_array($1::text)))`,
    `select maint.schedule(($1::text)::interval)`,
  ];
  for (const call of calls)
    for (const text of hostile)
      await operator.query(call, [text]).catch((error: unknown) => {
        if (!(error instanceof pg.DatabaseError) || error.code === 'XX000')
          t.fail(`${call} ${text.slice(0, 50)}: ${String(error)}`);
      });
  for (const interval of ['-1 day', '1 microsecond', '100000 years', 'infinity', '0'])
    await operator.query('select maint.schedule($1::interval)', [interval]).catch((error: unknown) => {
      t.true(error instanceof pg.DatabaseError && error.code !== 'XX000', String(error));
    });
  t.deepEqual(
    (await place.loot()).filter(({ role }) => role !== roles.operator),
    [],
  );
  t.deepEqual(await place.promoted(), []);
  startWorker(t, database);
  await operator
    .query(`select maint.reset(path) from maint.config_effective where source <> 'default'`)
    .catch(() => undefined);
  t.not((await place.run()).status, 'failed', 'honest use');
});

const callersSettings = [
  `set search_path = evil`,
  `set standard_conforming_strings = off`,
  `set escape_string_warning = off`,
  `set datestyle = 'German'`,
  `set intervalstyle = 'sql_standard'`,
  `set extra_float_digits = -10`,
  `set bytea_output = 'escape'`,
  `set quote_all_identifiers = on`,
  `set timezone = 'Pacific/Kiritimati'`,
  `set xmloption = 'document'`,
  `set array_nulls = off`,
  `set transform_null_equals = on`,
  `set check_function_bodies = off`,
  `set plpgsql.variable_conflict = 'use_column'`,
  `set plpgsql.extra_errors = 'all'`,
  `set plpgsql.check_asserts = on`,
  `set plv8.start_proc = 'evil.hook'`,
  `set maint.planning = 'on'`,
  `set maint.progress = 'notice'`,
  `set enable_seqscan = off`,
  `set enable_hashjoin = off`,
  `set enable_sort = off`,
  `set row_security = off`,
  `set default_transaction_isolation = 'serializable'`,
  `set default_tablespace = 'pg_default'`,
  `set work_mem = '64kB'`,
  `set from_collapse_limit = 1`,
  `set geqo_threshold = 2`,
  `set constraint_exclusion = on`,
  `set client_min_messages = error`,
  `set lock_timeout = '10min'`,
  `set session_replication_role = origin`,
];

test('settings of the caller change nothing and run nothing', async (t) => {
  const place = await arena(t);
  const { database, roles } = place;
  await place.install();
  await place.arm();
  await place.sql(
    'evil',
    `
    create function evil.hook() returns void language plpgsql as $f$ begin perform evil.pay('hook'); end $f$;
    create function evil.now() returns timestamptz language plpgsql as $f$ begin perform evil.pay('now'); return pg_catalog.now(); end $f$;
    create table evil.t (a int, d date, f float8); insert into evil.t select g, '2026-01-01', g / 7.0 from generate_series(1, 1000) g;
    create index t_1 on evil.t (a) where d > '2026-02-01' and f > 0.30000000000000004::float8;
    create index t_2 on evil.t (a) where d > '2026-02-01' and f > 0.30000000000000004::float8; analyze evil.t`,
  );
  startWorker(t, database);
  const found = async (): Promise<unknown> =>
    await database.query(`select kind, object_name, summary, remedy, detail -> 'definition' as definition from maint.findings where resolved_at is null
      and schema_name = 'evil' order by 1, 2`);
  const stepsOf = (steps: Record<string, { status: string }>): string[] =>
    Object.entries(steps)
      .map(([name, { status }]) => `${name} ${status}`)
      .sort();
  await waitForRow(database, 'select from maint.worker');
  let plain = await place.run();
  // What a worker observes is there a moment after its start.
  while (plain.steps['safeguard_metrics']?.status !== 'success') plain = await place.run();
  const expected = await found();
  t.regex(JSON.stringify(expected), /index.redundant/);
  const operator = await place.as('operator');
  const ignored: string[] = [];
  for (const setting of callersSettings)
    if ((await outcome(operator, setting)) !== 'done') ignored.push(setting);
  t.true(ignored.length <= 3, ignored.join());
  const { rows } = await operator.query<{ result: { run_id: number; status: string } }>(
    'select maint.run(true) as result',
  );
  const { run_id: id } = rows[0]!.result;
  await waitForRow(
    database,
    'select from maint.run_log where run_id = $1 and finished_at is not null',
    [id],
    60,
  );
  const [row] = await database.query<{ result: { steps: Record<string, { status: string }> } }>(
    'select maint.result($1) as result',
    [id],
  );
  t.deepEqual(stepsOf(row!.result.steps), stepsOf(plain.steps));
  t.deepEqual(await found(), expected);
  t.deepEqual(
    (await place.loot()).filter(({ role }) => role !== roles.operator),
    [],
  );
  t.deepEqual(await place.promoted(), []);
});
