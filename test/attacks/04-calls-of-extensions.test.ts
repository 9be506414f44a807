/** Calls of extension functions go to the extension's, whatever others have put beside them or in their place. */
import test from 'ava';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';
import { arena } from './arena.ts';
import type { Arena } from './arena.ts';

const extensions = ['pageinspect', 'pgstattuple', 'amcheck', 'pg_stat_statements', 'hypopg'];

/** The statements that make, in schema evil_calls, functions of the names of the extensions' with other argument types. */
const overloads = (schema: string): string => `
  select format(
    $f$create function ${schema}.%I(%s%s) returns %s language plpgsql as $body$
      begin perform evil.pay(%L); return%s; end $body$$f$,
    p.proname,
    (select coalesce(string_agg(format('%s', case
        when v.type = 'bigint'::regtype then 'integer' when v.type = 'text'::regtype then v.other
        when v.type = 'regclass'::regtype then 'oid' when v.type = 'oid'::regtype then 'regclass'
        when v.type = 'boolean'::regtype then 'boolean' else v.type::regtype::text end), ', ' order by v.i), '')
      from unnest(p.proargtypes::oid[]) with ordinality as a (type, i)
      cross join lateral (select a.type, a.i, o.other from (values ('text'), ('name'), ('regclass'), ('varchar')) as o (other)
        where o.other = variant.other) as v),
    (select coalesce(string_agg(format(', out %I %s', p.proargnames[m.i], p.proallargtypes[m.i]::regtype), '' order by m.i), '')
      from unnest(p.proargmodes) with ordinality as m (mode, i) where m.mode in ('o', 't')),
    pg_get_function_result(p.oid), p.proname,
    case when p.proretset or p.proargmodes is not null or p.prorettype = 'void'::regtype then '' else ' null' end) as statement
  from pg_proc as p
  join pg_depend as d on d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
  join pg_extension as e on e.oid = d.refobjid and e.extname = any ($1)
  cross join (values ('text'), ('name'), ('regclass'), ('varchar')) as variant (other)
  order by statement`;

async function addOverloads(place: Arena, schema: string): Promise<number> {
  const rows = await place.database.query<{ statement: string }>(overloads(schema), [extensions]);
  const evil = await place.as('evil');
  let made = 0;
  for (const { statement } of rows) {
    // Some come out the same, or as the extension's own, which it may not replace; OUT arguments without IN begin with a comma.
    const done = await evil.query(statement.replace('(, ', '(')).then(
      () => 1,
      (error: unknown) =>
        /already exists|must be owner/.test(String(error)) ? 0 : Promise.reject(error as Error),
    );
    made += done;
  }
  return made;
}

const ground = `
  create table evil.t (a int primary key, b text); insert into evil.t select g, repeat('x', 20) from generate_series(1, 100000) g;
  create index on evil.t using hash (a); delete from evil.t where a % 3 > 0;
  analyze evil.t`;

test('better matches beside the functions of an extension are not called', async (t) => {
  // The owner of the database may create in schema public, where extensions are by default.
  const place = await arena(t, { owner: 'evil' });
  const { database } = place;
  for (const extension of extensions)
    await database.query(`create extension if not exists ${extension} cascade`).catch(() => {
      t.log(`no ${extension}`);
    });
  await place.arm();
  const made = await addOverloads(place, 'public');
  t.true(made > 15, `${made} overloads`);
  await place.install();
  await place.sql('evil', ground);
  startWorker(t, database);
  const run = await place.run();
  t.deepEqual(await place.loot(), []);
  const { index_health: health, integrity_check: integrity } = run.steps;
  t.is(health?.error, null);
  t.is(integrity?.error, null);
  t.is(
    run.integrity_check.checks['btree_structure']?.status,
    'healthy',
    JSON.stringify(run.integrity_check.checks['btree_structure']),
  );
  await database.query(`select public.bt_page_stats('evil.t_pkey'::regclass, 1)`).catch(() => undefined);
  t.true(
    (await place.loot()).some(({ trap }) => trap === 'bt_page_stats'),
    'control: an unbound call meets the overload',
  );
});

test('a schema that took the place of an extension’s is not believed', async (t) => {
  const place = await arena(t, { owner: 'evil' });
  const { database } = place;
  await place.arm();
  await place.sql('evil', 'create schema tools; grant usage on schema tools to public');
  for (const extension of extensions)
    await database
      .query(`create extension if not exists ${extension} with schema tools cascade`)
      .catch(() => {
        t.log(`no ${extension}`);
      });
  await place.install();
  await place.sql('evil', ground);
  // What is swapped between the look and the call is not kept out yet: docs/security.md says so. Nobody is at work meanwhile here.
  const before = startWorker(t, database);
  t.not((await place.run()).status, 'failed');
  await before.stop();
  const { rows } = await (
    await place.as('evil')
  ).query<{ statement: string }>(overloads('tools'), [extensions]);
  // The owner of a schema drops what is in it, extensions of others too.
  await place.sql(
    'evil',
    'drop schema tools cascade; create schema tools; grant usage on schema tools to public',
  );
  const evil = await place.as('evil');
  for (const { statement } of rows) await evil.query(statement.replace('(, ', '(')).catch(() => undefined);
  await evil.query(`
    create function tools.bt_page_stats(relname text, blkno int8, out blkno_ int8, out type "char", out live_items int, out dead_items int)
      language plpgsql as $f$ begin perform evil.pay('bt_page_stats'); end $f$;
    create function tools.bt_index_check(index regclass, heapallindexed boolean) returns void language plpgsql as
      $f$ begin perform evil.pay('bt_index_check'); end $f$;
    create view tools.pg_stat_statements as select 'select 1'::text as query, 1::int8 as queryid, 10::oid as userid, 1::oid as dbid, true as toplevel,
      1::int8 as calls, 1::float8 as total_exec_time, 1::int8 as rows, evil.pay('pg_stat_statements') as paid;
    create view tools.pg_stat_statements_info as select 0::int8 as dealloc, now() as stats_reset, evil.pay('pg_stat_statements_info') as paid`);
  const run = await place.run();
  const after = startWorker(t, database);
  await waitForRow(
    database,
    "select from maint.worker where last_seen > clock_timestamp() - interval '5 seconds'",
  );
  await place.run();
  await after.stop();
  t.deepEqual(await place.loot(), []);
  t.deepEqual(await place.promoted(), []);
  t.true(['success', 'partial'].includes(run.status));
  t.not(
    run.integrity_check.checks['btree_structure']?.status,
    'healthy',
    'what was not checked is not healthy',
  );
  await database.query('select * from tools.pg_stat_statements');
  t.true((await place.loot()).length > 0, 'control');
});

test('temporary objects and names of the catalog in the caller’s search path are not met', async (t) => {
  const place = await arena(t);
  const { database, roles } = place;
  await place.install();
  await place.arm();
  await database.query(
    `grant temporary on database ${database.name} to ${roles.operator}; grant usage on schema evil to ${roles.operator}`,
  );
  await place.sql(
    'evil',
    `
    create function evil.now() returns timestamptz language plpgsql as $f$ begin perform evil.pay('now'); return pg_catalog.now(); end $f$;
    create function evil.coalesce_text(text) returns text language plpgsql as $f$ begin perform evil.pay('coalesce'); return $1; end $f$;
    create function evil.jsonb_array_length(jsonb) returns int language plpgsql as $f$ begin perform evil.pay('jsonb_array_length'); return 0; end $f$;
    create view evil.pg_class as select * from pg_catalog.pg_class where evil.pay('pg_class');
    create view evil.pg_roles as select * from pg_catalog.pg_roles where evil.pay('pg_roles');
    create function evil.eq(int, int) returns boolean language plpgsql as $f$ begin perform evil.pay('='); return true; end $f$;
    create operator evil.= (leftarg = int, rightarg = int, function = evil.eq);
    create function evil.eqt(text, text) returns boolean language plpgsql as $f$ begin perform evil.pay('= of text'); return true; end $f$;
    create operator evil.= (leftarg = text, rightarg = text, function = evil.eqt);
    create function evil.sametype(name, text) returns boolean language plpgsql as $f$ begin perform evil.pay('= of names'); return true; end $f$;
    create operator evil.= (leftarg = name, rightarg = text, function = evil.sametype);
    create domain evil.text as pg_catalog.text check (evil.pay('text'));
    create domain evil.jsonb as pg_catalog.jsonb check (evil.pay('jsonb'))`,
  );
  const operator = await place.as('operator');
  await operator.query(`
    create temp table setting (path text, scope text, value jsonb); create temp table finding (finding_id int8); create temp table run_log (run_id int8);
    create temp view pg_settings as select 1 as name where evil.pay('pg_temp'); create temp view findings as select 1 as finding_id where evil.pay('pg_temp');
    create function pg_temp.spring() returns trigger language plpgsql as $f$ begin perform evil.pay('temp trigger'); return new; end $f$;
    create trigger spring before insert on pg_temp.setting for each row execute function pg_temp.spring();
    set search_path = evil, pg_temp, pg_catalog, public`);
  startWorker(t, database);
  const attempts = [
    'select maint.status()',
    'select maint.run(true)',
    `select maint.configure('operational.maintenance_tasks.interval', '7200')`,
    `select maint.config('operational')`,
    `select maint.reset('operational.maintenance_tasks.interval')`,
    `select maint.bypass('index_health', 'a reason', pg_catalog.now() + pg_catalog.make_interval(hours => 1))`,
    `select maint.unbypass('index_health')`,
    `select maint.schedule(interval '1 day')`,
    'select maint.unschedule()',
    `select maint.query_risk('select 1')`,
    'select * from maint.findings',
    'select * from maint.overview',
    'select * from maint.metrics',
    'select * from maint.config_effective',
    'select * from maint.runs',
    'select * from maint.steps',
    'select * from maint.index_health',
    'select * from maint.query_patterns',
    'select * from maint.actions',
    'select * from maint.alerts',
    'select maint.result(1)',
  ];
  for (const attempt of attempts) await t.notThrowsAsync(operator.query(attempt), attempt);
  // What runs as the operator, who has put it there, is no loot; query_risk runs as its caller and no further.
  t.deepEqual(
    (await place.loot()).filter(({ role }) => role !== roles.operator),
    [],
  );
  t.deepEqual(await place.promoted(), []);
  t.deepEqual((await operator.query<{ n: number }>('select count(*)::int as n from pg_temp.setting')).rows, [
    { n: 0 },
  ]);
  await operator.query('select now()');
  t.true(
    (await place.loot()).some(({ role }) => role === roles.operator),
    'control',
  );
});
