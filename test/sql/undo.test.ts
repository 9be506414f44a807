import test from 'ava';
import { createDatabase } from '../support/database.ts';

// That undo brings an index back is shown with maint.apply, in apply.test.ts.
test('what can not be undone is refused with its reason, and nothing is queued', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create schema shop; create table shop.orders (a int)');
  const action = async (
    kind: string,
    status: string,
    target: object,
    inverse: object | null = null,
  ): Promise<number> => {
    const [row] = await database.query<{ id: number }>(
      `insert into maint.action (action_key, run_id, requested_run_id, step_number, kind, status, target, reason,
         inverse, queued_at)
       values (gen_random_uuid()::text, 1, 1, 6, $1, $2, $3, 'test', $4, now()) returning action_id::int as id`,
      [kind, status, JSON.stringify(target), inverse && JSON.stringify(inverse)],
    );
    return row!.id;
  };
  const target = { schema: 'shop', table: 'orders', index: 'orders_a', oid: 1 };
  const [table] = await database.query<{ oid: number }>(
    `select 'shop.orders'::regclass::oid::int8::int as oid`,
  );
  const inverse = { settings: {}, statements: ['create index concurrently orders_a on shop.orders (a)'] };
  for (const [id, message] of [
    [await action('drop_index', 'failed', target, inverse), /has not succeeded: it is failed/],
    [await action('drop_index', 'queued', target), /has not succeeded: it is queued/],
    [await action('analyze_table', 'succeeded', target), /nothing undoes analyze_table/],
    [await action('drop_index', 'succeeded', { ...target, table: 'gone' }, inverse), /the table is gone/],
    [await action('drop_index', 'succeeded', target), /its inverse was not recorded/],
    [await action('create_index', 'succeeded', { ...target, oid: table!.oid }), /the index is gone/],
    [await action('create_index', 'succeeded', target), /the table is gone/],
    [1_000_000, /there is no action/],
    [null, /there is no action null/],
  ] as const) {
    await t.throwsAsync(database.query('select maint.undo($1)', [id]), { code: '22023', message });
  }
  const [before] = await database.query<{ count: number }>('select count(*)::int as count from maint.action');
  t.is(before!.count, 7);
  const id = await action('drop_index', 'succeeded', target, inverse);
  await database.query('create index orders_a on shop.orders (a)');
  await t.throwsAsync(database.query('select maint.undo($1)', [id]), { message: /the index is there/ });
  await database.query('drop index shop.orders_a');
  await database.query('select maint.undo($1)', [id]);
  t.like((await database.query('select kind, status from maint.action order by action_id desc limit 1'))[0], {
    kind: 'create_index',
    status: 'queued',
  });
});
