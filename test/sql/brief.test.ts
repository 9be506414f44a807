/** What psql shows on a screen of 120 columns. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { run } from '../../build/run.ts';
import { temporaryFolder } from '../support/command.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { hostileNames } from '../support/names.ts';
import { fillReport } from '../support/report-data.ts';

const screen = 120;

async function psql(database: TestDatabase, ...words: string[]): Promise<string> {
  const { stdout } = await run('psql', [
    '-X',
    '-v',
    'ON_ERROR_STOP=1',
    '-P',
    'pager=off',
    ...words,
    database.url,
  ]);
  return stdout;
}

/** Columns that a table of psql takes: the line under its head is as wide as all others, whatever letters they have. */
function widthOf(shown: string): number {
  const rule = shown.split('\n').find((line) => /^-[-+]*$/.test(line));
  return rule?.length ?? 0;
}

/** Every text as long and as odd as it can be, and numbers that a server of some years has. */
async function fillWithHostile(t: ExecutionContext): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  // As far as numbers get in years of hourly runs.
  await database.query(`alter table maint.finding alter column finding_id restart with 100000;
    alter table maint.action alter column action_id restart with 100000;
    alter table maint.alert alter column alert_id restart with 100000`);
  await fillReport(database);
  for (const [index, name] of hostileNames.entries()) {
    await database.query(
      `insert into maint.action (action_key, run_id, requested_run_id, step_number, kind, status, target, reason, size_before,
         size_after, outcome, queued_at, finished_at, error)
       values ($2, 1, 1, 7, 'terminate_backend', 'succeeded', jsonb_build_object('schema', $1::text, 'table', $1::text,
         'index', $1::text), $1, 10239::bigint * 1024 ^ 3, 10238::bigint * 1024 ^ 3, $1, now(), now(),
         jsonb_build_object('message', $1::text))`,
      [name, `hostile ${index}`],
    );
    await database.query(
      `insert into maint.alert (run_id, step_number, severity, message, created_at)
       values (30, 16, 'critical', 'about ' || $1::text, now())`,
      [name],
    );
    await database.query(
      `update maint.index_usage set schema_name = $1, index_name = $1 where usage_id = $2`,
      [name, 1 + (index % 4)],
    );
    await database.query(
      `insert into maint.setting (path, scope, value, set_by)
       values ('features.index_health.bloat_threshold', 'index:' || format('%I.%I', $1::text, $1::text), '30', left($1, 63))`,
      [name],
    );
    await database.query(
      `insert into maint.query_pattern overriding system value select (jsonb_populate_record(p, jsonb_build_object('pattern_id', 100 + $2::int,
         'pattern_key', 'h' || $2::int, 'text', 'select * from ' || quote_ident($1)))).* from maint.query_pattern as p
       where p.pattern_key = 'p1'`,
      [name, index],
    );
  }
  await database.query(`
    update maint.run_log set error = jsonb_build_object('message', repeat('x', 300)) where run_id = 29;
    update maint.step_log set error = jsonb_build_object('message', repeat('permission denied ', 20)) where step_number = 1;
    insert into maint.setting (path, scope, value, set_by) values ('features.of_a_version_to_come', 'schema:' || repeat('s', 63),
      '{"a": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}', repeat('r', 63));
    insert into maint.model (kind, active, reason, feature_version, slow_ms, trained_from, held_out_from, held_out_to,
      training_samples, held_out_samples, metrics, importance, coverage, duration_ms, content)
    values ('query_risk', true, repeat('better than the cost alone ', 5), 1, 100, now(), now(), now(), 99999, 99999,
      '{"auc": 0.91234, "brier": 0.1, "baselines": {"cost": {"auc": 0.8}}}', '{}', '{}', 1, '{}')`);
  return database;
}

const views = [
  'runs',
  'steps',
  'findings',
  'actions',
  'alerts',
  'index_health',
  'index_history',
  'forecasts',
  'query_patterns',
  'models',
  'config_effective',
];

test('every view has a brief one with the same rows, which fits on a screen, whatever the names are', async (t) => {
  const database = await fillWithHostile(t);
  for (const view of views) {
    const [counts] = await database.query<{ all: number; brief: number }>(
      `select (select count(*)::int from maint.${view}) as all, (select count(*)::int from maint.${view}_brief) as brief`,
    );
    t.is(counts!.brief, counts!.all, view);
    t.true(counts!.all > 0, `${view} is empty: nothing would be shown`);
    const width = widthOf(await psql(database, '-c', `table maint.${view}_brief`));
    t.true(width > 40 && width <= screen, `${view}_brief takes ${width} columns`);
  }
  const width = widthOf(await psql(database, '-c', 'table maint.overview'));
  t.true(width > 40 && width <= screen, `overview takes ${width} columns`);
});

test('a brief view has the order of its view, and says what to type', async (t) => {
  const database = await fillWithHostile(t);
  for (const [view, key] of [
    ['findings', 'finding_id'],
    ['actions', 'action_id'],
    ['runs', 'run_id'],
    ['alerts', 'alert_id'],
    ['query_patterns', 'pattern_id'],
  ] as const)
    t.deepEqual(
      await database.query(`select ${key} from maint.${view}_brief`),
      await database.query(`select ${key} from maint.${view}`),
      view,
    );
  const states = await database.query<{ state: string; typed: number }>(
    `select state, count(command)::int as typed from maint.findings_brief group by state order by state`,
  );
  t.deepEqual(
    states.map(({ state, typed }) => [state, typed > 0]),
    [
      ['muted', true],
      ['open', true],
      ['resolved', false],
    ],
  );
});

test('a text is broken, and none of it is lost', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const texts = [
    ...hostileNames,
    '',
    ' ',
    'a  b',
    'word '.repeat(40),
    '\u0001\u0085\r\t'.repeat(10),
    '索引 '.repeat(30),
  ];
  await database.query(
    `create table texts as select t.text, w.wrapped from unnest($1::text[]) as t (text), maint.wrap_text(t.text, 20) as w (wrapped)`,
    [texts],
  );
  t.deepEqual(
    await database.query(`select text, wrapped from texts
      where regexp_replace(wrapped, '\\s', '', 'g') <> regexp_replace(text, '\\s', '', 'g')`),
    [],
  );
  t.is(widthOf(await psql(database, '-c', 'select wrapped from texts')), 22);
});

test('a remedy comes statement by statement, as \\gexec runs them, with names that hold semicolons', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table t (a int);
    create index "a;"" b
      ;" on t (a);
    insert into maint.run_log (status, started_at, forced, dry_run, engine, version)
      values ('success', now(), false, false, 'worker', '0');
    insert into maint.finding (finding_key, run_id, step_number, kind, severity, summary, detail, remedy, first_seen, last_seen)
    values
      ('a', 1, 3, 'index.invalid', 'info', 's', '{}', format(E'drop index concurrently %I;\\ncomment on table t is %L;\\n',
        E'a;" b\\n      ;', 'it''s; here'), now(), now()),
      ('b', 1, 3, 'index.invalid', 'info', 's', '{}', null, now(), now())`);
  t.deepEqual(await database.query('select maint.remedy(1) as statement'), [
    { statement: 'drop index concurrently "a;"" b\n      ;";' },
    { statement: `comment on table t is 'it''s; here';` },
  ]);
  t.deepEqual(await database.query('select maint.remedy(2)'), []);
  await t.throwsAsync(database.query('select maint.remedy(3)'), { message: 'there is no finding 3' });
  // CONCURRENTLY runs in no block of several statements.
  const file = join(temporaryFolder(t), 'typed.sql');
  writeFileSync(file, 'select maint.remedy(1) \\gexec\n');
  await psql(database, '-f', file);
  t.deepEqual(
    await database.query(`select obj_description('t'::regclass) as comment,
      (select count(*)::int from pg_index where indrelid = 't'::regclass) as indexes`),
    [{ comment: "it's; here", indexes: 0 }],
  );
});
