/**
 * Every step on both hosts, in the database and over a connection, gives equal reports on the whole corpus. The first
 * run is rolled back, so that both begin with the same samples.
 */
import test from 'ava';
import type pg from 'pg';
import type { Json, JsonObject } from '../src/steps/step.ts';
import { steps } from '../src/steps/index.ts';
import { runOverConnection } from '../src/worker/host.ts';
import { loadCorpus, makeFixture } from './corpus/fixtures.ts';
import { comparable } from './support/comparable.ts';
import type { TestDatabase } from './support/database.ts';

/** Rows of one run as it recorded them, without the numbers that the database gave. */
const recordedQuery = `
  select jsonb_build_object(
    'findings', (select coalesce(jsonb_agg(to_jsonb(f) - array['finding_id', 'finding_key', 'run_id', 'first_seen', 'last_seen', 'resolved_at']
        || jsonb_build_object('resolved', f.resolved_at is not null) order by f.step_number, f.finding_id), '[]')
      from maint.finding as f),
    'actions', (select coalesce(jsonb_agg(jsonb_build_object('kind', a.kind, 'target', a.target, 'reason', a.reason,
        'evidence', a.evidence, 'status', a.status, 'key', a.action_key) order by a.action_id), '[]') from maint.action as a),
    'alerts', (select coalesce(jsonb_agg(jsonb_build_object('step', a.step_number, 'severity', a.severity,
        'message', a.message, 'detail', a.detail) order by a.alert_id), '[]')
      from maint.alert as a where a.run_id = $1),
    'steps', (select jsonb_object_agg(s.name, jsonb_build_object('status', s.status, 'reason', s.reason,
        'error', s.error, 'result', s.result))
      from maint.step_log as s where s.run_id = $1)
  ) as recorded`;

interface Recorded {
  findings: JsonObject[];
  actions: JsonObject[];
  alerts: JsonObject[];
  steps: Record<string, { status: string; error: Json; result: JsonObject }>;
}

async function recordedBy(client: pg.Client, result: JsonObject): Promise<JsonObject> {
  const { rows } = await client.query<{ recorded: JsonObject }>(recordedQuery, [result['run_id']]);
  return comparable({ result, ...rows[0]!.recorded }) as JsonObject;
}

async function inTheDatabase(client: pg.Client): Promise<JsonObject> {
  await client.query('begin');
  try {
    const { rows } = await client.query<{ result: JsonObject }>('select maint.run(true) as result');
    return await recordedBy(client, rows[0]!.result);
  } finally {
    await client.query('rollback');
  }
}

async function overTheConnection(client: pg.Client): Promise<JsonObject> {
  return await recordedBy(client, await runOverConnection(client, { force: true }));
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
