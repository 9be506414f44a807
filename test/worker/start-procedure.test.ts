/**
 * PL/V8 calls the function that plv8.start_proc names when it starts in a session: with the rights of the function that
 * started it, and the setting is the caller's. PL/V8 is not to be installed here, so that a language of its name stands for it,
 * with the handler of another: what an installation records about its functions is the same.
 */
import test from 'ava';
import { install } from '../../src/worker/install.ts';
import { createDatabase } from '../support/database.ts';

test('every function that enters JavaScript has a start procedure of its own, whatever the caller has set', async (t) => {
  const database = await createDatabase(t);
  await database.query('create language plv8 handler plpgsql_call_handler');
  const { engine } = await install(database.url, { engine: 'plv8', owner: 'postgres' });
  t.is(engine, 'plv8');
  const pinned = await database.query(
    `select p.proname as name, p.proconfig @> '{plv8.start_proc=pg_catalog.plv8_version}' as pinned
     from pg_proc as p join pg_language as l on l.oid = p.prolang
     where p.pronamespace = 'maint'::regnamespace and l.lanname = 'plv8' order by 1`,
  );
  t.deepEqual(pinned, [
    { name: 'dispatch', pinned: true },
    { name: 'query_risk', pinned: true },
  ]);
});
