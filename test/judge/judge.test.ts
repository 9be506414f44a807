/** The findings on a schema of 300 tables in the style of real applications, with the server as judge. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import { Random, seedOfRun } from '../property/random.ts';
import { applicationSchema } from './application-schema.ts';
import { fill } from './fill.ts';
import { judge } from './judge.ts';

const tables = 300;
/** Enough for a table of some pages, on which an index is cheaper than reading it all. */
const rows = 600;

test('on a generated schema no finding is false, each remedy runs and all of them together, and no key is missed', async (t) => {
  t.timeout(300_000);
  const seed = seedOfRun();
  t.log(`MAINT_TEST_SEED=${seed}`);
  const database = await createDatabase(t, { template: 'installed' });
  const client = await database.client();
  await client.query('set client_min_messages = error');
  await client.query(applicationSchema(new Random(seed), tables));
  const filled = await fill(client, rows);
  t.deepEqual(filled.empty, []);
  t.true(filled.tables >= tables, `${filled.tables} tables`);
  const judgement = await judge(client, new Random(seed));
  for (const { kind, found, wrong } of judgement.kinds) {
    t.log(`${kind}: ${found}`);
    t.deepEqual(wrong, [], kind);
    t.true(found > 0, `${kind} is found`);
  }
  t.deepEqual(judgement.together, []);
  t.deepEqual(judgement.missed, []);
});
