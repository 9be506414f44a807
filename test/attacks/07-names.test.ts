/** Names, comments and texts that want to be code: for the server, psql, a terminal, a browser and JavaScript. */
import { existsSync, lstatSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import pg from 'pg';
import { findPostgres } from '../../build/postgres.ts';
import { run } from '../../build/run.ts';
import { command } from '../support/cli.ts';
import { temporaryFolder } from '../support/command.ts';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';
import { arena } from './arena.ts';

const names = [
  `x"; select evil.pay('name'); --`,
  `'); select evil.pay('name'); --`,
  `$$; select evil.pay('n'); $$`,
  `x' || evil.pay('name')::text || '`,
  `a\n\\! touch loot\n`,
  `\\'; select evil.pay('n') --`,
  `<script>alert(1)</script>`,
  `<img src=x onerror=alert(1)>`,
  `</title><svg onload=alert(1)>`,
  '\u001b]0;pwned\u0007\u001b[2J',
  '\u202egnp.exe \u2066 \u200f',
  `%s %I %L %1$s :var :'var'`,
  '$1 \\gexec \\;',
  'ж'.repeat(31) + 'a',
  '__proto__',
  'constructor',
  'pg_temp',
  '*?.[a-z]',
  '| a | b |\n|---|---|\n[x](javascript:alert(1))',
  '"',
  '\u007f\u0085',
  `/* */ -- \n; drop schema kept cascade; `,
];

/** Control characters but line breaks and tabs, and what turns the direction of writing. */
// eslint-disable-next-line no-control-regex -- they are what a terminal would obey
const obeyed = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200e\u200f]/;

const quote = pg.escapeIdentifier;

test('hostile names are names: in actions, remedies, terminal, report and metrics', async (t) => {
  t.timeout(150_000);
  const place = await arena(t);
  const { database } = place;
  await database.query(
    'create schema kept; create table kept.rows as select 1 as a; create extension if not exists pg_stat_statements',
  );
  await place.install();
  await place.arm();
  const evil = await place.as('evil');
  for (const name of names) {
    const id = quote(name);
    const schema = name === 'pg_temp' ? 'pgtemp' : id;
    await evil.query(`create schema ${schema}`);
    await evil.query(`create type ${schema}.${id} as enum (${pg.escapeLiteral(name)})`);
    await evil.query(`create function ${schema}.${id}(int) returns int language sql immutable return $1`);
    const table = `${schema}.${quote(`t${name}`.slice(0, 30))}`;
    await evil.query(
      `create table ${table} (${id} int primary key, b int, c ${schema}.${id} default ${pg.escapeLiteral(name)})`,
    );
    await evil.query(`insert into ${table} (${id}, b) select g, g from generate_series(1, 2000) as g`);
    await evil.query(
      `create index ${quote(`i${name}`.slice(0, 30))} on ${table} (b, ${schema}.${id}(b)) where c = ${pg.escapeLiteral(name)}`,
    );
    await evil.query(
      `create index ${quote(`j${name}`.slice(0, 30))} on ${table} (b, ${schema}.${id}(b)) where c = ${pg.escapeLiteral(name)}`,
    );
    await evil.query(
      `comment on index ${schema}.${quote(`j${name}`.slice(0, 30))} is ${pg.escapeLiteral(name)}`,
    );
    await evil.query(`create table ${schema}.child (${id} int constraint ${id} references ${table})`);
    await evil.query(`insert into ${schema}.child select g from generate_series(1, 2000) as g`);
    await evil.query(`comment on table ${table} is ${pg.escapeLiteral(name)}`);
    await evil.query(
      `create sequence ${schema}.${quote(`s${name}`.slice(0, 30))} as smallint maxvalue 10 start 10`,
    );
    await evil.query(`select nextval(${pg.escapeLiteral(`${schema}.${quote(`s${name}`.slice(0, 30))}`)})`);
    await evil.query(
      `create materialized view ${schema}.${quote(`m${name}`.slice(0, 30))} as select evil.pay('materialized view') as a`,
    );
    await evil.query(
      `select count(*) as ${id} from ${table} where b = 5 /* ${name.replaceAll('*/', '').replaceAll('/*', '')} */`,
    );
  }
  await evil.query(`set application_name = ${pg.escapeLiteral(names[9]!)}`);
  await evil.query('begin');
  await evil.query('select pg_advisory_xact_lock(77)');
  await database.query(`select maint.configure('features.stale_operations.idle_in_transaction_after', '0')`);
  startWorker(t, database);
  t.not((await place.run()).status, 'failed');
  await evil.query('commit');

  const found = await database.query<{ kind: string; n: number }>(
    `select kind, count(*)::int as n from maint.findings where resolved_at is null and kind in ('index.redundant', 'fk.unindexed') group by kind order by kind`,
  );
  t.deepEqual(found, [
    { kind: 'fk.unindexed', n: names.length },
    { kind: 'index.redundant', n: names.length },
  ]);

  for (const words of [['findings'], ['status'], ['doctor'], ['config', 'show']]) {
    const { out, error } = await command(...words, database.url);
    t.notRegex(out + error, obeyed, words.join(' '));
  }
  for (const view of ['findings_brief', 'actions_brief', 'overview', 'steps_brief', 'query_patterns_brief'])
    await t.notThrowsAsync(database.query(`select * from maint.${view}`));
  const page = await command('report', '--output', '-', database.url);
  t.true(page.out.length > 1000);
  t.notRegex(page.out, /<script>alert|<img src=x|<svg onload|href="javascript:/i);
  t.regex(page.out, /&lt;script&gt;alert/);

  // The remedies as a person would run them: pasted into psql, by the superuser.
  const remedies = await database.query<{ remedy: string }>(
    `select remedy from maint.findings where resolved_at is null and remedy is not null and kind in ('index.redundant', 'fk.unindexed') and finding_id % 2 = 1 order by finding_id`,
  );
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'remedies.sql'), remedies.map(({ remedy }) => remedy).join('\n'));
  const postgres = await findPostgres({ headers: false });
  const half = await database.query<{ id: string }>(
    `select maint.apply(finding_id)::text as id from maint.findings where resolved_at is null and kind in ('index.redundant', 'fk.unindexed') and finding_id % 2 = 0 order by finding_id`,
  );
  t.true(half.length > 5);
  await waitForRow(
    database,
    `select where not exists (select from maint.actions where status in ('queued', 'running'))`,
    [],
    90,
  );
  t.deepEqual(
    await database.query(
      `select object, status, outcome from maint.actions where status not in ('succeeded') and kind in ('drop_index', 'create_index')`,
    ),
    [],
  );
  await run(
    join(postgres!.binDirectory, 'psql'),
    ['-XAtq', '-d', database.url, '-f', join(folder, 'remedies.sql')],
    { cwd: folder, allowFailure: true },
  );
  await place.run(['redundant_indexes', 'foreign_keys']);
  t.deepEqual(
    await database.query(
      `select summary, remedy from maint.findings where resolved_at is null and kind in ('index.redundant', 'fk.unindexed')`,
    ),
    [],
    'each remedy did what it says',
  );

  // Undo restores comments and names as they were.
  const undone = await database.query<{ id: number }>(
    `select action_id::int as id from maint.actions where kind = 'drop_index' and status = 'succeeded' order by 1`,
  );
  for (const { id } of undone) await t.notThrowsAsync(database.query('select maint.undo($1)', [id]));
  await waitForRow(
    database,
    `select where not exists (select from maint.actions where status in ('queued', 'running'))`,
    [],
    90,
  );
  const comments = await database.query<{ comment: string }>(
    `select obj_description(c.oid, 'pg_class') as comment from pg_class as c where c.relkind = 'i' and c.relname like 'j%' and obj_description(c.oid, 'pg_class') is not null`,
  );
  t.true(comments.length >= undone.length && comments.every(({ comment }) => names.includes(comment)));

  t.deepEqual(await place.loot(), []);
  t.false(existsSync(join(folder, 'loot')) || existsSync('loot'));
  t.deepEqual(await database.query('select a from kept.rows'), [{ a: 1 }]);
});

test('a report replaces no device, and follows no link that another account has put in its way', async (t) => {
  const place = await arena(t);
  await place.install();
  const folder = temporaryFolder(t);
  symlinkSync('/dev/null', join(folder, 'device'));
  const { url } = place.database;
  t.is((await command('report', '--output', join(folder, 'device'), url)).code, 0);
  t.true(lstatSync(join(folder, 'device')).isSymbolicLink());
  writeFileSync(join(folder, 'of-root'), 'kept');
  symlinkSync(join(folder, 'of-root'), join(folder, `page.${process.pid}.tmp`));
  t.is((await command('report', '--output', join(folder, 'page'), url)).code, 2);
  t.is(readFileSync(join(folder, 'of-root'), 'utf8'), 'kept');
  t.is((await command('report', '--output', join(folder, 'other'), url)).code, 0);
  t.true(readdirSync(folder).includes('other'));
});
