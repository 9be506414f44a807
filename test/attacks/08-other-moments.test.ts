/** An action or an undo that was right for another moment: what it names has been swapped, replaced or changed meanwhile. */
import test from 'ava';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';
import { arena } from './arena.ts';
import type { Arena } from './arena.ts';

const settled = `select where not exists (select from maint.actions where status in ('queued', 'running'))`;

async function applyAll(place: Arena, kind: string): Promise<void> {
  await place.database.query(
    `select maint.apply(finding_id) from maint.findings where kind = $1 and resolved_at is null and not coalesce((detail ->> 'applied')::boolean, false)`,
    [kind],
  );
}

async function indexes(place: Arena, schema: string): Promise<string[]> {
  const rows = await place.database.query<{ name: string }>(
    `select format('%I.%I of %s', n.nspname, c.relname, pg_get_userbyid(c.relowner)) as name from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
     where c.relkind = 'i' and n.nspname = $1 order by 1`,
    [schema],
  );
  return rows.map(({ name }) => name);
}

test('an index that has taken the name of the one that was judged is not dropped', async (t) => {
  t.timeout(100_000);
  const place = await arena(t);
  const { database } = place;
  await place.install();
  await place.sql(
    'evil',
    `create schema billing; create table billing.t (a int, b int); insert into billing.t select g, g from generate_series(1, 1000) g;
    create index t_1 on billing.t (a); create index t_2 on billing.t (a); analyze billing.t`,
  );
  const worker = startWorker(t, database);
  await place.run(['redundant_indexes']);
  await worker.stop();
  await applyAll(place, 'index.redundant');
  // The attacker gets out of the way of the DBA, who makes a schema of that name.
  await place.sql('evil', 'alter schema billing rename to gone');
  await database.query(`create schema billing; create table billing.t (a int, b int); insert into billing.t select g, g from generate_series(1, 1000) g;
    create index t_1 on billing.t (b); create unique index t_2 on billing.t (a)`);
  startWorker(t, database);
  await waitForRow(database, settled, [], 60);
  t.deepEqual(
    (await indexes(place, 'billing')).map((each) => each.split(' ')[0]),
    ['billing.t_1', 'billing.t_2'],
  );
  const [action] = await database.query<{ status: string; outcome: string | null }>(
    'select status, outcome from maint.actions order by action_id limit 1',
  );
  t.true(['expired', 'skipped', 'succeeded'].includes(action!.status), JSON.stringify(action));
});

test('an index function that is replaced before a rebuild, an ANALYZE or an undo runs as the table’s owner', async (t) => {
  t.timeout(100_000);
  const place = await arena(t);
  const { database, roles } = place;
  await place.install();
  await place.arm();
  await place.sql(
    'evil',
    `create function evil.fx(int) returns int language plpgsql immutable as $f$ begin return $1; end $f$;
    create table evil.t (a int, b int); insert into evil.t select g, g from generate_series(1, 300) g;
    create index t_1 on evil.t (evil.fx(a)); create index t_2 on evil.t (evil.fx(a));
    create statistics evil.s on (evil.fx(b)), a from evil.t;
    comment on index evil.t_2 is 'x'; analyze evil.t;
    create materialized view evil.m as select evil.fact('materialized view') as a; create unique index on evil.m (a);
    create table evil.u (a int, b int); create index u_1 on evil.u (evil.fx(a)); create index u_2 on evil.u (evil.fx(a), b)`,
  );
  startWorker(t, database);
  await database.query(
    `select maint.configure('features.statistics_refresh.min_table_size_mb', '0'), maint.configure('features.statistics_refresh.stale_threshold_hours', '1')`,
  );
  await place.run();
  await applyAll(place, 'index.redundant');
  await waitForRow(
    database,
    `select from maint.actions where kind = 'drop_index' and status = 'succeeded'`,
    [],
    60,
  );
  await waitForRow(database, settled, [], 60);
  const replace = `create or replace function evil.fx(int) returns int language plpgsql immutable as $f$ begin perform evil.pay('index function'); return $1; end $f$`;
  await place.sql('evil', replace);
  await place.sql(
    'evil',
    `insert into evil.t select g, g from generate_series(1, 5000) g; select pg_stat_force_next_flush()`,
  );
  await database.query(
    `select maint.undo(action_id) from maint.actions where kind = 'drop_index' and status = 'succeeded'`,
  );
  await waitForRow(database, settled, [], 60);
  await place.run(['refresh_statistics']);
  await applyAll(place, 'statistics.stale');
  await waitForRow(database, settled, [], 60);
  t.deepEqual(
    await database.query(
      `select kind, status, outcome from maint.actions where status not in ('succeeded', 'expired')`,
    ),
    [],
  );
  const built = await database.query(
    `select from maint.actions where kind = 'create_index' and status = 'succeeded'`,
  );
  t.true(built.length >= 1, 'honest use: the undo built its index');
  t.deepEqual(await place.loot(), []);
  t.deepEqual(await place.promoted(), []);
  await database.query('select evil.fx(1)');
  t.deepEqual(
    await place.loot(),
    [
      { trap: 'index function at commit', role: 'postgres' },
      { trap: 'index function', role: 'postgres' },
    ],
    `control ${roles.evil}`,
  );
});

test('an undo does not build an index with another role’s function on a table that is the superuser’s now', async (t) => {
  t.timeout(100_000);
  const place = await arena(t);
  const { database } = place;
  await place.install();
  await place.arm();
  await place.sql(
    'evil',
    `create function evil.fx(int) returns int language plpgsql immutable as $f$ begin return $1; end $f$;
    create table evil.t (a int, b int); insert into evil.t select g, g from generate_series(1, 300) g;
    create index t_1 on evil.t (evil.fx(a)); create index t_2 on evil.t (evil.fx(a)); analyze evil.t`,
  );
  startWorker(t, database);
  await place.run(['redundant_indexes']);
  await applyAll(place, 'index.redundant');
  await waitForRow(
    database,
    `select from maint.actions where kind = 'drop_index' and status = 'succeeded'`,
    [],
    60,
  );
  // The DBA takes the table over, and drops what it sees of the attacker's on it.
  await database.query('drop index evil.t_1; alter table evil.t owner to postgres');
  await place.sql(
    'evil',
    `create or replace function evil.fx(int) returns int language plpgsql immutable as $f$ begin perform evil.pay('undo'); return $1; end $f$`,
  );
  await database
    .query(
      `select maint.undo(action_id) from maint.actions where kind = 'drop_index' and status = 'succeeded'`,
    )
    .catch((error: unknown) => {
      t.log(String(error));
    });
  await waitForRow(database, settled, [], 60);
  t.log(await database.query('select kind, status, outcome from maint.actions'));
  t.deepEqual(await place.loot(), []);
  t.deepEqual(await place.promoted(), []);
});

test('an undo does not build on a table that has taken the name', async (t) => {
  t.timeout(100_000);
  const place = await arena(t);
  const { database } = place;
  await place.install();
  await place.sql(
    'evil',
    `create schema evil; create table evil.t (a int, b int); insert into evil.t select g, g from generate_series(1, 300) g;
    create index t_1 on evil.t (a); create index t_2 on evil.t (a); analyze evil.t`,
  );
  startWorker(t, database);
  await place.run(['redundant_indexes']);
  await applyAll(place, 'index.redundant');
  await waitForRow(
    database,
    `select from maint.actions where kind = 'drop_index' and status = 'succeeded'`,
    [],
    60,
  );
  await place.sql('evil', 'alter schema evil rename to gone');
  await database.query('create schema evil; create table evil.t (a int, b int)');
  const error: unknown = await database
    .query(
      `select maint.undo(action_id) from maint.actions where kind = 'drop_index' and status = 'succeeded'`,
    )
    .then(
      () => null,
      (failure: unknown) => failure,
    );
  await waitForRow(database, settled, [], 60);
  t.deepEqual(await indexes(place, 'evil'), [], `refused, or built where the table is now: ${String(error)}`);
});

test('the last index that serves a column is not dropped', async (t) => {
  t.timeout(100_000);
  const place = await arena(t);
  const { database } = place;
  await place.install();
  await place.sql(
    'evil',
    `create schema d; create table d.u (id int primary key, email text not null); insert into d.u select g, 'e' || g from generate_series(1, 1000) g;
    alter table d.u add constraint u_email_key unique (email); create unique index u_email2 on d.u (email);
    create table d.t (id int primary key, a int, b int); insert into d.t select g, g, g from generate_series(1, 2000) g; create index t_a on d.t (a); create index t_ab on d.t (a, b); analyze`,
  );
  const worker = startWorker(t, database);
  await place.run(['redundant_indexes']);
  await worker.stop();
  await applyAll(place, 'index.redundant');
  const queued = await database.query(`select from maint.actions where status = 'queued'`);
  t.is(queued.length, 2);
  await place.sql('evil', 'alter table d.u drop constraint u_email_key; drop index d.t_ab');
  startWorker(t, database);
  await waitForRow(database, settled, [], 60);
  t.deepEqual(
    (await indexes(place, 'd')).map((each) => each.split(' ')[0]),
    ['d.t_a', 'd.t_pkey', 'd.u_email2', 'd.u_pkey'],
  );
  await t.throwsAsync(place.sql('evil', `insert into d.u values (2000, 'e1')`), { message: /u_email2/ });
});

for (const [name, set] of Object.entries({
  'extra_float_digits = 0': 'extra_float_digits = 0',
  'another DateStyle and IntervalStyle': `datestyle = 'SQL, DMY'`,
  'quoted names': 'quote_all_identifiers = on',
}))
  test(`an undo brings back the same index: ${name}`, async (t) => {
    t.timeout(100_000);
    const place = await arena(t);
    const { database } = place;
    await database.query(`alter database ${database.name} set ${set}`);
    await database.query(`alter database ${database.name} set intervalstyle = 'sql_standard'`);
    await place.install();
    const definitions = async (): Promise<unknown> => {
      const client = await database.client();
      await client.query(
        `set datestyle = iso; set intervalstyle = postgres; set extra_float_digits = 3; set quote_all_identifiers = off`,
      );
      return (
        await client.query(`select indexname, indexdef from pg_indexes where schemaname = 'evil' order by 1`)
      ).rows;
    };
    await place.sql(
      'evil',
      `set datestyle = iso; set intervalstyle = postgres; create schema evil; create table evil.t (x int, f float8, d date, i interval);
      insert into evil.t select g, 0.1::float8 + 0.2::float8, '2026-03-01', '1 day' from generate_series(1, 1000) g;` +
        ['f = 0.30000000000000004::float8', `d > date '2026-02-01'`, `i > interval '-1 year 2 days'`]
          .map(
            (predicate, n) =>
              `create index t_${n}a on evil.t (x) where ${predicate}; create index t_${n}b on evil.t (x) where ${predicate};`,
          )
          .join(''),
    );
    const before = await definitions();
    const worker = startWorker(t, database);
    await place.run(['redundant_indexes']);
    await applyAll(place, 'index.redundant');
    await waitForRow(database, settled, [], 60);
    t.is(
      (await database.query(`select from maint.actions where kind = 'drop_index' and status = 'succeeded'`))
        .length,
      3,
    );
    await worker.stop();
    await database.query(`alter database ${database.name} set datestyle = 'ISO, MDY'`);
    await database.query(
      `select maint.undo(action_id) from maint.actions where kind = 'drop_index' and status = 'succeeded'`,
    );
    startWorker(t, database);
    await waitForRow(database, settled, [], 60);
    t.deepEqual(await definitions(), before);
  });
