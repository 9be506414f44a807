/**
 * A cancel during the first compile in a session. In PL/V8 it is an error without a message, and a PL/pgSQL block that
 * catches such a one crashes the server: pg-maint compiles where it catches nothing.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { repository } from '../../build/paths.ts';
import { createDatabase } from '../support/database.ts';

test('maint.run enters JavaScript first outside of any block that catches, and no other function of ours catches it', (t) => {
  const text = readFileSync(join(repository, 'sql/api/run.sql'), 'utf8').replaceAll(/--.*$/gm, '');
  const body = text.slice(text.indexOf('$function$'));
  const calls = [...body.matchAll(/(?<!')maint\.dispatch\(/g)].map(({ index }) => index);
  const first = calls[0] ?? 0;
  t.true(body.slice(first).startsWith('maint.dispatch(null);'));
  t.is(body.slice(0, first).match(/^\s*begin\s*$/gm)?.length, 1, 'only the function itself has begun');
});

test('called with null, dispatch does nothing; and query_risk compiles little before it runs', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  t.deepEqual(await database.query('select maint.dispatch(null) as nothing'), [{ nothing: null }]);
  const [row] = await database.query<{ lines: number }>(
    `select cardinality(string_to_array(prosrc, E'\\n')) as lines from pg_catalog.pg_proc where oid = 'maint.query_risk(text)'::regprocedure`,
  );
  t.true((row?.lines ?? 99) < 10, 'the script is a string');
});

test('a run or a judgement that is cancelled at any moment of its first compile is cancelled, and the session goes on', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(
    `create function public.caught() returns text language plpgsql as $$
     begin perform maint.query_risk('select 1'); return 'done'; exception when others then return sqlerrm; end $$`,
  );
  let cancelled = 0;
  for (let timeout = 1; timeout <= 40; timeout += 3) {
    for (const call of ['select maint.run(true, null, true)::text as v', 'select public.caught() as v']) {
      const client = await database.client();
      await client.query(`set statement_timeout = ${timeout}`);
      const state = await client.query(call).then(
        () => null,
        (error: unknown) => (error as { code?: string }).code,
      );
      t.true(state === null || state === '57014', String(state));
      if (state !== null) cancelled += 1;
      await client.query('set statement_timeout = 0');
      const { rows } = await client.query<{ v: string }>('select public.caught() as v');
      t.is(rows[0]?.v, 'done');
      await client.end();
    }
  }
  t.true(cancelled > 0);
});
