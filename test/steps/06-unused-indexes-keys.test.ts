import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { judgeNow, sample, scan } from '../support/index-usage.ts';
import { foundNames } from '../support/maintenance.ts';

const kind = 'index.unused';

const events = `
  create table users (id int primary key);
  create table events (user_id int references users, kind int, payload text);
  insert into users select generate_series(1, 100);
  insert into events select 1 + g % 100, g % 10, g::text from generate_series(1, 2000) as g;
  create index wide on events (user_id, kind, payload);
`;

async function unused(database: TestDatabase): Promise<string[]> {
  await judgeNow(database);
  await sample(database);
  return foundNames(database, kind);
}

test('an index is not spared for a key that an index in use serves', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`${events} create index narrow on events (user_id); analyze`);
  await sample(database);
  await scan(database, 'select from events where user_id = 7 and kind is not null', 0);
  await scan(database, 'select user_id from events where user_id = 7', 40);
  t.deepEqual(await unused(database), ['public.wide']);
});

test('of several unused ones that serve a key the narrowest is spared, and the last one always', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`${events} create index narrow on events (user_id); analyze`);
  await sample(database);
  t.deepEqual(await unused(database), ['public.wide']);
  await database.query('drop index narrow');
  t.deepEqual(await unused(database), []);
});

test('a unique index serves the key, an invalid one does not', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`${events} create unique index once on events (user_id, payload); analyze`);
  await sample(database);
  t.deepEqual(await unused(database), ['public.wide']);
  await database.query(`update pg_index set indisvalid = false where indexrelid = 'once'::regclass`);
  t.deepEqual(await unused(database), []);
});

test('an index on a part of a key is spared where it finds few rows, and where that is not known', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table parent (id int, part int, primary key (id, part));
    insert into parent select g, 1 from generate_series(1, 3000) as g;
    create table child (id int, part int, foreign key (id, part) references parent) with (autovacuum_enabled = false);
    insert into child select g, 1 from generate_series(1, 3000) as g;
    create index by_id on child (id); create index by_part on child (part);
  `);
  await sample(database);
  t.deepEqual(await unused(database), []);
  await database.query('analyze child');
  t.deepEqual(await unused(database), ['public.by_part']);
  await database.query('create index on_both on child (id, part)');
  t.deepEqual(await unused(database), ['public.by_part', 'public.on_both']);
  await database.query('drop index by_id');
  t.deepEqual(await unused(database), ['public.by_part']);
  await database.query('create unique index once on child (id)');
  t.deepEqual(await unused(database), ['public.by_part', 'public.on_both']);
});

test('one index of a partition tree that serves a key is spared', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table users (id int primary key);
    create table events (user_id int references users, kind int, at int) partition by list (kind);
    create table events_1 partition of events for values in (1);
    create table events_2 partition of events for values in (2);
    create index wide on events (user_id, at); create index narrow on events (user_id);
    create index own on events_1 (user_id);
  `);
  await sample(database);
  t.deepEqual((await unused(database)).sort(), ['public.own', 'public.wide']);
  await database.query('drop index narrow');
  t.deepEqual(await unused(database), ['public.own']);
});

test('an index that one key needs serves another one as well', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table users (id int primary key, part int, unique (id, part));
    create table events (user_id int references users, part int, at int,
      foreign key (user_id, part) references users (id, part));
    create index narrow on events (user_id); create index wide on events (user_id, part, at);
    insert into users values (1, 1); insert into events select 1, 1, i from generate_series(1, 2000) as i; analyze events;
  `);
  await sample(database);
  t.deepEqual(await unused(database), ['public.narrow']);
});
