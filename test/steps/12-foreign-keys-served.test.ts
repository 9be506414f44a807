/** What serves a foreign key is what the server itself uses for a delete in the referenced table. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openFindings, run } from '../support/maintenance.ts';
import type { FindingRow } from '../support/maintenance.ts';

const only = ['foreign_keys'];
const kind = 'fk.unindexed';

async function made(t: ExecutionContext, ...statements: string[]): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create schema app');
  for (const statement of statements) await database.query(statement);
  await database.query('vacuum analyze');
  await database.query(`select maint.configure('features.foreign_key_suggestions.interval', '0')`);
  return database;
}

async function found(database: TestDatabase): Promise<Map<string, FindingRow>> {
  await run(database, { only });
  const findings = await openFindings(database, kind);
  return new Map(findings.map((finding) => [finding.object_name!, finding]));
}

async function applyRemedies(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ finding_id: string }>(
    `select finding_id from maint.findings where kind = $1 and resolved_at is null order by finding_id`,
    [kind],
  );
  const ran: string[] = [];
  for (const { finding_id } of rows) {
    const statements = await database.query<{ statement: string }>(
      `select statement from maint.remedy($1) as r (statement)`,
      [finding_id],
    );
    for (const { statement } of statements) {
      await database.query(statement);
      ran.push(statement);
    }
  }
  return ran;
}

test('a column of a composite key that is unique by itself serves it', async (t) => {
  const database = await made(
    t,
    'create table app.parent (id bigint, partition_id bigint, primary key (id, partition_id), unique (partition_id, id))',
    `create table app.child (id bigserial primary key, partition_id bigint not null, parent_id bigint not null unique,
       constraint child_fk foreign key (partition_id, parent_id) references app.parent (partition_id, id) on delete cascade)`,
    'insert into app.parent select g, 100 from generate_series(1, 5000) g',
    'insert into app.child (partition_id, parent_id) select 100, g from generate_series(1, 5000) g',
  );
  t.is((await found(database)).size, 0);
});

test('an index on a part of a key that finds few rows makes it a notice, which names index and rows; one that finds many does not', async (t) => {
  const database = await made(
    t,
    'create table app.parent (tenant int, id int, primary key (tenant, id), unique (id, tenant))',
    `create table app.few (tenant int, parent_id int, filler text default repeat('x', 200),
       constraint few_fk foreign key (tenant, parent_id) references app.parent)`,
    `create table app.many (tenant int, parent_id int, filler text default repeat('x', 200),
       constraint many_fk foreign key (tenant, parent_id) references app.parent)`,
    'create index few_parent on app.few (parent_id)',
    'create index many_tenant on app.many (tenant)',
    'insert into app.parent select g % 3, g from generate_series(1, 6000) g',
    'insert into app.few select g % 3, g from generate_series(1, 5000) g',
    'insert into app.many select g % 3, g from generate_series(1, 5000) g',
    'delete from app.parent where id > 5000',
  );
  const findings = await found(database);
  const few = findings.get('few_fk')!;
  t.is(few.severity, 'info');
  t.regex(few.summary, /reads about one row through index app\.few_parent, which covers 1 of its 2 columns/);
  t.is(few.remedy, null, 'another one would only cost');
  const many = findings.get('many_fk')!;
  t.is(many.severity, 'warning');
  t.regex(many.summary, /reads about 1667 rows through index app\.many_tenant/);
  await applyRemedies(database);
  t.deepEqual([...(await found(database)).keys()], ['few_fk']);
});

test('an index of any method serves whose class has the operator: GiST of an exclusion constraint, GIN, SP-GiST', async (t) => {
  const database = await made(
    t,
    'create extension btree_gist schema public',
    'create extension btree_gin schema public',
    'create table app.room (id int primary key)',
    'create table app.word (id text primary key)',
    'create table app.booking (room_id int references app.room, during tsrange, exclude using gist (room_id with =, during with &&))',
    'create table app.late (room_id int constraint late_fk references app.room, during tsrange, exclude using gist (during with &&, room_id with =))',
    'create table app.tagged (room_id int references app.room); create index on app.tagged using gin (room_id)',
    'create table app.spoken (word_id text references app.word); create index on app.spoken using spgist (word_id)',
    'create table app.rough (room_id int constraint rough_fk references app.room); create index on app.rough using brin (room_id)',
  );
  t.deepEqual([...(await found(database)).keys()].sort(), ['late_fk', 'rough_fk']);
});

test('a key that compares by another class gets an index of that class, which the server uses and the check counts', async (t) => {
  const database = await made(
    t,
    'create extension citext schema public',
    'create table app.c (code char(8) primary key); create table app.c_ref (code text references app.c)',
    'create table app.t (code text primary key); create table app.t_ref (code citext references app.t)',
    'create table app.o (id oid primary key); create table app.o_ref (id int references app.o)',
    'create table app.v (id varchar(9) primary key); create table app.v_ref (id text references app.v)',
    `create type app.mood as enum ('sad', 'glad'); create table app.e (id app.mood primary key);
     create table app.e_ref (id app.mood references app.e)`,
    'create table app.a (id int[] primary key); create table app.a_ref (id int[] references app.a)',
    `insert into app.c select 'c' || i from generate_series(1, 3000) i;
     insert into app.c_ref select 'c' || i % 3000 + 1 from generate_series(1, 20000) i`,
  );
  await found(database);
  t.deepEqual((await applyRemedies(database)).sort(), [
    'create index concurrently on app.a_ref (id);',
    'create index concurrently on app.c_ref (code bpchar_ops);',
    'create index concurrently on app.e_ref (id);',
    'create index concurrently on app.o_ref (id oid_ops);',
    'create index concurrently on app.t_ref (code text_ops);',
    'create index concurrently on app.v_ref (id);',
  ]);
  t.is((await found(database)).size, 0);
  await database.query('analyze');
  const [first] = await database.query(
    `explain (costs off) select 1 from only app.c_ref x where 'c7'::bpchar operator(pg_catalog.=) code::bpchar`,
  );
  t.regex(JSON.stringify(first), /(Index|Bitmap)/);
});

test('a nondeterministic collation of the referenced column decides, where the server allows two', async (t) => {
  const database = await made(
    t,
    `create collation app.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
    'create table app.pk (code text collate app.ci primary key)',
    `insert into app.pk select 'c' || i from generate_series(1, 3000) i`,
  );
  try {
    await database.query('create table app.ref_plain (code text constraint ref_plain_fk references app.pk)');
  } catch (error) {
    t.is((error as { code?: string }).code, '42P21', 'from PostgreSQL 18 on');
    return;
  }
  await database.query(`create index ref_plain_code on app.ref_plain (code);
    insert into app.ref_plain select 'C' || i % 3000 + 1 from generate_series(1, 20000) i`);
  await database.query('vacuum analyze app.ref_plain');
  t.deepEqual([...(await found(database)).keys()], ['ref_plain_fk']);
  t.deepEqual(await applyRemedies(database), [
    'create index concurrently on app.ref_plain (code collate app.ci);',
  ]);
  t.is((await found(database)).size, 0);
});

test('one index is suggested for keys that are equal or the beginning of one another', async (t) => {
  const database = await made(
    t,
    'create table app.tenant (id int primary key)',
    'create table app.ord (tenant_id int, id int, primary key (tenant_id, id))',
    `create table app.item (id int primary key, tenant_id int, ord_id int,
       constraint item_tenant_1 foreign key (tenant_id) references app.tenant,
       constraint item_tenant_2 foreign key (tenant_id) references app.tenant,
       constraint item_ord foreign key (tenant_id, ord_id) references app.ord (tenant_id, id))`,
    'create table app.unit (id int primary key)',
    `create table app.part (id int primary key, tenant_id int, ord_id int, unit_id int,
       constraint part_second foreign key (ord_id) references app.unit,
       constraint part_ord foreign key (tenant_id, ord_id) references app.ord (tenant_id, id))`,
  );
  const findings = await found(database);
  t.is(findings.size, 5);
  t.regex(
    findings.get('item_tenant_1')!.detail['no_remedy_because'] as string,
    /the index for the key item_ord of the same table serves this one as well/,
  );
  t.deepEqual((await applyRemedies(database)).sort(), [
    'create index concurrently on app.item (tenant_id, ord_id);',
    'create index concurrently on app.part (ord_id, tenant_id);',
  ]);
  t.is((await found(database)).size, 0);
  await run(database, { only: ['redundant_indexes'] });
  t.deepEqual(await openFindings(database, 'index.redundant'), []);
});

test('severity follows what searches read; a column without values to find is told as that', async (t) => {
  const database = await made(
    t,
    'create table app.kind (id int primary key)',
    'create table app.small (id int primary key, kind_id int constraint small_fk references app.kind)',
    `create table app.big (id int primary key, kind_id int constraint big_fk references app.kind, filler text default repeat('x', 100))`,
    'create table app.single (kind_id int constraint single_fk references app.kind)',
    'create table app.empty (kind_id int constraint empty_fk references app.kind)',
    'insert into app.kind select generate_series(1, 10)',
    'insert into app.small select g, null from generate_series(1, 1000) g',
    'insert into app.big (id, kind_id) select g, 1 + g % 10 from generate_series(1, 60000) g',
    'insert into app.single select 1 from generate_series(1, 2000) g',
  );
  const idle = await found(database);
  t.deepEqual(
    [...idle.values()].map(({ severity }) => severity),
    ['info', 'info', 'info', 'info'],
    'nobody has searched',
  );
  t.regex(idle.get('small_fk')!.summary, /null in every row that ANALYZE read/);
  t.regex(idle.get('single_fk')!.summary, /every row that ANALYZE read has the same value/);
  t.is(idle.get('small_fk')!.remedy, null);
  t.is([...idle.keys()][0], 'big_fk', 'what a delete would read most comes first');
  await database.query('insert into app.kind values (11), (12)');
  await database.query('delete from app.kind where id > 10');
  await database.query('select pg_stat_force_next_flush()');
  await database.query('select 1');
  const searched = await found(database);
  t.is(searched.get('big_fk')!.severity, 'warning');
  for (const name of ['small_fk', 'single_fk', 'empty_fk']) t.is(searched.get(name)!.severity, 'info', name);
});

test('a key with a period gets a GiST index, and a B-tree on its columns counts by the rows that it finds', async (t) => {
  const database = await made(t, 'create extension btree_gist schema public');
  try {
    await database.query(
      'create table app.emp (id int, valid_at daterange, primary key (id, valid_at without overlaps))',
    );
  } catch (error) {
    t.is((error as { code?: string }).code, '42601', 'before PostgreSQL 18');
    return;
  }
  await database.query(`
    create table app.job (eid int, valid_at daterange, constraint job_fk foreign key (eid, period valid_at)
      references app.emp (id, period valid_at));
    insert into app.emp select i, '[2020-01-01,2030-01-01)' from generate_series(1, 3000) i;
    insert into app.job select i, '[2021-01-01,2022-01-01)' from generate_series(1, 3000) i`);
  await database.query('vacuum analyze app.job');
  const finding = (await found(database)).get('job_fk')!;
  t.is(finding.remedy, 'create index concurrently on app.job using gist (eid, valid_at);');
  await database.query('create index job_b on app.job (eid, valid_at)');
  const beside = (await found(database)).get('job_fk')!;
  t.is(beside.severity, 'info');
  t.regex(beside.summary, /reads about one row through index app\.job_b/);
  await database.query('drop index app.job_b');
  await found(database);
  await applyRemedies(database);
  t.is((await found(database)).size, 0);
});

test('an index is kept for a key only where no other one serves it', async (t) => {
  const database = await made(
    t,
    'create table app.users (id int primary key)',
    'create table app.events (id bigserial primary key, user_id int not null references app.users, kind int, payload text)',
    'insert into app.users select generate_series(1, 1000)',
    'insert into app.events (user_id, kind, payload) select 1 + g % 1000, g % 10, md5(g::text) from generate_series(1, 20000) g',
    'create index events_user_kind_payload on app.events (user_id, kind, payload)',
    'create index events_user on app.events (user_id)',
    'create table app.idle (user_id int references app.users, kind int)',
    'create index idle_user on app.idle (user_id)',
    'create index idle_user_kind on app.idle (user_id, kind)',
    `select maint.configure('features.index_cleanup.days_unused', '0')`,
  );
  for (let user = 1; user <= 20; user += 1)
    await database.query(`select count(*) from app.events where user_id = ${user}`);
  await database.query('select pg_stat_force_next_flush()');
  await run(database);
  const unused = (await openFindings(database, 'index.unused')).map(({ object_name }) => object_name);
  t.deepEqual(
    unused,
    ['events_user_kind_payload', 'idle_user_kind'],
    'of two that nobody uses the shorter stays',
  );
  const redundant = (await openFindings(database, 'index.redundant')).map(({ object_name }) => object_name);
  t.deepEqual(redundant, []);
});

test('the index for a muted key, or for one without values, serves no other key', async (t) => {
  const database = await made(
    t,
    'create table app.tenant (id int primary key)',
    'create table app.ord (tenant_id int, id int, primary key (tenant_id, id))',
    `create table app.item (tenant_id int, ord_id int, constraint item_ord foreign key (tenant_id, ord_id) references app.ord,
       constraint item_tenant foreign key (tenant_id) references app.tenant)`,
    `create table app.odd (tenant_id int, ord_id int, constraint odd_ord foreign key (tenant_id, ord_id) references app.ord,
       constraint odd_tenant foreign key (tenant_id) references app.tenant)`,
    'insert into app.tenant select generate_series(1, 10)',
    'insert into app.odd select 1 + i % 10, null from generate_series(1, 2000) as i',
  );
  const findings = await found(database);
  t.is(
    findings.get('odd_tenant')!.remedy,
    'create index concurrently on app.odd (tenant_id);',
    'every ord_id is null',
  );
  t.is(findings.get('item_tenant')!.remedy, null);
  await database.query(
    `select maint.mute(${String(findings.get('item_ord')!.finding_id)}, 'never deleted', 'infinity')`,
  );
  t.is(
    (await found(database)).get('item_tenant')!.remedy,
    'create index concurrently on app.item (tenant_id);',
  );
});

test('what the owner of a table claims of its columns stops no step', async (t) => {
  const columns = Array.from({ length: 10 }, (_, place) => `c${place}`);
  const list = columns.join(', ');
  const declared = columns.map((column) => `${column} int`).join(', ');
  const database = await made(
    t,
    `create table app.parent (${declared}, unique (${list}))`,
    `create table app.child (${declared}, constraint child_fk foreign key (${list}) references app.parent (${list}))`,
    ...['parent', 'child'].map(
      (table) =>
        `insert into app.${table} select ${columns.map(() => 'i').join(', ')} from generate_series(1, 2000) as i`,
    ),
    `create index on app.child (${columns.slice(0, 9).join(', ')})`,
  );
  for (const claimed of ['1e38', '1e300', '-0.0000001']) {
    for (const column of columns)
      await database.query(`alter table app.child alter ${column} set (n_distinct = '${claimed}')`);
    await database.query('analyze app.child');
    const result = await run(database, { only: [...only, 'unused_indexes'] });
    for (const step of [...only, 'unused_indexes'])
      t.is(result.steps[step]?.error, null, `${step}: ${claimed}`);
    const [finding] = await openFindings(database, kind);
    t.is(finding?.object_name, 'child_fk', claimed);
    t.true(Number.isFinite((finding!.detail['searched_by'] as { rows: number }).rows), claimed);
  }
});
