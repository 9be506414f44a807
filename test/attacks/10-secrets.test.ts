/** Texts of statements belong to the role that ran them, and secrets in them to nobody else. */
import test from 'ava';
import { command } from '../support/cli.ts';
import { startWorker } from '../support/worker.ts';
import { arena } from './arena.ts';

test('texts of others and their secrets are not stored, and not shown to a reader', async (t) => {
  const place = await arena(t);
  const { database, roles } = place;
  await database.query('create extension pg_stat_statements');
  await place.install();
  startWorker(t, database);
  const secret = `S3cr3t${roles.evil}`;
  const dba = await database.client();
  for (let round = 0; round < 3; round += 1) {
    for (const statement of [
      `alter role ${roles.app} password '${secret}'`,
      `create user ${roles.evil}_tmp password '${secret}'`,
      `drop user ${roles.evil}_tmp`,
      `do $$ begin perform '${secret}'; end $$`,
      `set maint.token = '${secret}'`,
      `comment on database ${database.name} is '${secret}'`,
      `explain select '${secret}'`,
      `copy (select '${secret}') to program 'cat'`,
      `prepare p as select '${secret}' as x`,
      'execute p',
      'deallocate p',
      `declare c cursor with hold for select '${secret}' as y`,
      'close c',
      `create foreign data wrapper w${round} options (password '${secret}')`,
      `create server s${round} foreign data wrapper w${round} options (password '${secret}')`,
      `create user mapping for ${roles.app} server s${round} options (password '${secret}')`,
      `create table t${round} (a text default '${secret}')`,
      `create view v${round} as select '${secret}' as a`,
      `select count(*) from pg_class where relname = '${secret}'`,
    ])
      await t.notThrowsAsync(dba.query(statement), statement);
    await t.throwsAsync(
      dba.query(
        `create subscription sub connection 'host=127.0.0.1 port=1 password=${secret}' publication p`,
      ),
    );
    await place.run(['pattern_learning', 'workload_analysis']);
  }
  await place.run();
  // Everywhere in our schemas, as text.
  const tables = await database.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
     where n.nspname in ('maint', 'maint_boss') and c.relkind in ('r', 'v') order by name`,
  );
  const holders: string[] = [];
  for (const { name } of tables) {
    const rows = await database.query(
      `select left(x::text, 200) as row from ${name} as x where strpos(x::text, $1) > 0 limit 1`,
      [secret],
    );
    if (rows.length > 0) holders.push(`${name}: ${JSON.stringify(rows[0])}`);
  }
  t.deepEqual(holders, []);

  // A statement of another role with no secret in it: a reader without pg_read_all_stats is shown none of its text.
  await place.sql(
    'app',
    `create schema of_app; create table of_app.private_matter (a int); insert into of_app.private_matter values (1)`,
  );
  await database.query(`select maint.configure('features.pattern_learning.slow_ms', '0.001')`);
  const learned = `select from maint.query_patterns where text ~ 'private_count'`;
  // Other tests of the same server reset the counters.
  while ((await database.query(learned)).length === 0) {
    for (let call = 0; call < 3; call += 1)
      await place.sql('app', 'select count(*) as private_count from of_app.private_matter where a = 1');
    await place.run(['pattern_learning']);
  }
  const reader = await place.as('reader');
  const shown: string[] = [];
  for (const { name } of tables) {
    const rows = await reader
      .query<{ row: string }>(
        `select x::text as row from ${name} as x where strpos(x::text, 'private_count') > 0`,
      )
      .then(
        ({ rows }) => rows,
        () => [],
      );
    if (rows.length > 0) shown.push(name);
  }
  t.deepEqual(shown, []);
  const page = await command('report', place.urlFor('reader'), '--output', '-').catch(() => null);
  t.notRegex(page?.out ?? '', /private_count/);
  // Honest use: with the right that shows it in pg_stat_statements, it is shown here too; and to the superuser.
  t.true((await database.query(learned)).length > 0);
  await database.query(`grant pg_read_all_stats to ${roles.reader}`);
  const { rowCount } = await (
    await place.as('reader')
  ).query(`select from maint.query_patterns where text ~ 'private_count'`);
  t.is(rowCount, 1);
});
