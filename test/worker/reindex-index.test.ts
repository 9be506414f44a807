import test from 'ava';
import { createDatabase } from '../support/database.ts';
import { openTransaction, waitForRow } from '../support/maintenance.ts';
import { ended, oidOf, queueAction, startWorker } from '../support/worker.ts';
import { createExtensions } from '../support/extensions.ts';

test('a bloated index gets smaller and keeps what was set on it', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table public.t as select g as a from generate_series(1, 20000) g');
  await database.query(`create index "I x" on public.t (a); comment on index "I x" is 'mine'`);
  await database.query('delete from public.t where a % 10 <> 0');
  await database.query('vacuum public.t');
  startWorker(t, database);
  const target = { schema: 'public', table: 't', index: 'I x', oid: await oidOf(database, 'public', 'I x') };
  const record = await ended(database, await queueAction(database, 'reindex_index', target));
  t.is(record.status, 'succeeded', record.outcome!);
  t.true(record.size_after! < record.size_before!);
  const rows = await database.query(
    `select indisvalid, obj_description(indexrelid) as said from pg_index where indrelid = 't'::regclass`,
  );
  t.deepEqual(rows, [{ indisvalid: true, said: 'mine' }]);
});

test('rebuilt indexes are measured when no action is left, also by a worker that stops then', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await createExtensions(database, ['pageinspect']);
  const oids: number[] = [];
  const names = ['i0', 'i1', 'i2'];
  for (const name of names) {
    await database.query(`create table public.${name}_t as select g as a from generate_series(1, 20000) g;
      create index ${name} on public.${name}_t (a)`);
    oids.push(await oidOf(database, 'public', name));
  }
  const ids: number[] = [];
  for (const [place, index] of names.entries())
    ids.push(
      await queueAction(database, 'reindex_index', {
        schema: 'public',
        table: `${index}_t`,
        index,
        oid: oids[place]!,
      }),
    );
  const worker = startWorker(t, database, { concurrency: 1 });
  for (const id of ids) t.is((await ended(database, id)).status, 'succeeded');
  await worker.stop();
  t.deepEqual(worker.log, []);
  const rows = await database.query<{ index_name: string; bloat: number }>(
    `select h.index_name, h.bloat_percent::float8 as bloat
     from maint.index_history as h where h.method is not null order by h.index_name`,
  );
  t.deepEqual(
    rows.map(({ index_name: name }) => name),
    names,
  );
  for (const { bloat } of rows) t.true(Math.abs(bloat) < 3, `${bloat}`);
});

test('an exclusion constraint is left alone', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table public.t (r int4range, exclude using gist (r with &&))');
  startWorker(t, database);
  const index = 't_r_excl';
  const target = { schema: 'public', table: 't', index, oid: await oidOf(database, 'public', index) };
  const record = await ended(database, await queueAction(database, 'reindex_index', target));
  t.is(record.status, 'skipped');
});

test('a rebuild that is cut off removes its own leftover and no other', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.worker.build_lock_timeout', '100'),
    maint.configure('operational.worker.lock_timeout', '6000')`);
  await database.query('create table public.t (a int); create index i on public.t (a)');
  // Another's leftover: invalid, of the same name pattern, there before.
  await database.query('insert into public.t values (1), (1)');
  await t.throwsAsync(database.query('create unique index concurrently i_ccnew on public.t (a)'));
  startWorker(t, database);
  const oid = await oidOf(database, 'public', 'i');
  // Young enough not to be waited for before, and there until the build has given up.
  const writer = await openTransaction(database, 'insert into public.t values (2)');
  const id = await queueAction(database, 'reindex_index', { schema: 'public', table: 't', index: 'i', oid });
  await waitForRow(
    database,
    `select from maint.safeguard_event where event = 'lock_timeout' and reason ~ 'left'`,
  );
  await writer.end();
  t.is((await ended(database, id)).status, 'succeeded');
  const left = await database.query<{ relname: string }>(
    `select relname from pg_index join pg_class c on c.oid = indexrelid where indrelid = 't'::regclass order by 1`,
  );
  t.deepEqual(
    left.map(({ relname }) => relname),
    ['i', 'i_ccnew'],
  );
});
