/** A reader sees of the statements of others what the server would show it, and no password is kept at all. */
import test from 'ava';
import pg from 'pg';
import { install } from '../src/worker/install.ts';
import { createDatabase } from './support/database.ts';
import type { TestDatabase } from './support/database.ts';
import { createExtensions } from './support/extensions.ts';
import { openFindings, run } from './support/maintenance.ts';
import { provideRoles } from './support/roles.ts';

const secret = 'S3cr3t-of-the-test';

async function everything(client: Pick<pg.Client, 'query'>): Promise<string> {
  const views = await client.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class as c
     where c.relnamespace = 'maint'::regnamespace and c.relkind = 'v' order by 1`,
  );
  let seen = '';
  for (const { name } of views.rows)
    seen += JSON.stringify((await client.query(`select * from ${name}`)).rows);
  return seen;
}

async function allKept(database: TestDatabase): Promise<string> {
  const tables = await database.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class as c
     where c.relnamespace = 'maint'::regnamespace and c.relkind = 'r' order by 1`,
  );
  let kept = '';
  for (const { name } of tables) kept += JSON.stringify(await database.query(`select * from ${name}`));
  return kept;
}

test('texts of others are masked as in pg_stat_statements, and utility statements are kept by their first words', async (t) => {
  const database = await createDatabase(t);
  await provideRoles(database);
  await install(database.url);
  await createExtensions(database, ['pg_stat_statements']);
  await database.query(
    'create table public.told (a int, b text); insert into public.told select g, g::text from generate_series(1, 2000) as g',
  );
  const role = `told_${database.name.slice(-12)}`;
  await database.query(`create role ${role} login password '${secret}' in role maint_reader`);
  t.teardown(() => database.query(`drop owned by ${role}; drop role ${role}`).then(() => undefined));
  await database.query(`alter role ${role} password '${secret}'`);
  await database.query(`grant select on public.told to ${role}`);
  await database.query(`do $$ begin perform '${secret}'; end $$`);
  await database.query(`select set_config('maint_test.x', '${secret}', false)`);
  const url = new URL(database.url);
  url.username = role;
  url.password = secret;
  const reader = new pg.Client({ connectionString: url.href });
  await reader.connect();
  t.teardown(() => reader.end());
  for (let call = 0; call < 30; call += 1) {
    await database.query('select count(*) as of_the_owner from public.told where b > $1 and a <> 3', ['x']);
    await reader.query('select count(*) as of_the_reader from public.told where b > $1 and a <> 3', ['x']);
  }
  await run(database, { only: ['pattern_learning', 'workload_analysis'] });
  t.false((await allKept(database)).includes(secret));
  const kept = await database.query(`select from maint.query_text where text = 'alter role'`);
  t.is(kept.length, 1);
  const [mine] = await database.query(`select from maint.query_history where text like '%of_the_owner%'`);
  t.truthy(mine, 'a superuser sees it');

  const own = await reader.query(`select from maint.query_history where text like '%of_the_reader%'`);
  t.true(own.rows.length > 0);
  const masked = await reader.query(
    `select from maint.query_history where text = '<insufficient privilege>'`,
  );
  t.true(masked.rows.length > 0);
  t.false((await everything(reader)).includes('of_the_owner'));
  const findings = JSON.stringify(await openFindings(database, 'query.'));
  if (findings.includes('of_the_owner')) {
    const { rows } = await reader.query(
      `select from maint.findings where summary like '%: <insufficient privilege>'`,
    );
    t.true(rows.length > 0);
  }
  // An operator is told by a dry run what would be found.
  await database.query(`grant maint_operator to ${role}`);
  const dry = `select maint.run(true, '{pattern_learning}', true)::text as told`;
  const { rows: told } = await reader.query<{ told: string }>(dry);
  t.false(told[0]!.told.includes('of_the_owner'));
  await database.query(`grant pg_read_all_stats to ${role}`);
  t.true((await everything(reader)).includes('of_the_owner'));
});
