/**
 * Every step on both hosts, in the database and over a connection, gives equal reports on the whole corpus. The first
 * run is rolled back, so that both begin with the same samples.
 */
import test from 'ava';
import type { Json, JsonObject } from '../src/steps/step.ts';
import { steps } from '../src/steps/index.ts';
import { loadCorpus, makeFixture } from './corpus/fixtures.ts';
import type { TestDatabase } from './support/database.ts';
import { inTheDatabase, overTheConnection } from './support/recorded.ts';

interface Recorded {
  findings: JsonObject[];
  actions: JsonObject[];
  alerts: JsonObject[];
  steps: Record<string, { status: string; error: Json; result: JsonObject }>;
}

/** Null where the server has no JavaScript: there is one host only then. */
async function engineOf(database: TestDatabase): Promise<string | null> {
  const [row] = await database.query<{ engine: string }>('select engine from maint.installation');
  return row!.engine === 'worker' ? null : row!.engine;
}

for (const fixture of await loadCorpus()) {
  test(`both hosts report the same on ${fixture.name}`, async (t) => {
    const database = await makeFixture(t, fixture);
    if (!database) {
      t.pass(`needs PostgreSQL ${fixture.requires}`);
      return;
    }
    if ((await engineOf(database)) === null) {
      t.is(
        process.env['MAINT_TEST_HOST'],
        'node',
        'only a run without a language may leave the comparison out',
      );
      return;
    }
    const client = await database.client();
    const inside = await inTheDatabase(client);
    const outside = await overTheConnection(client);
    t.deepEqual(inside, outside);
    const { findings, steps: ran } = outside as unknown as Recorded;
    t.is(Object.keys(ran).length, steps.length);
    t.true(findings.length > 0, 'there was something to compare');
  });
}
