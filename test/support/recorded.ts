/** All that a run records, as two runs of the same state have it in common. */
import type pg from 'pg';
import type { JsonObject } from '../../src/steps/step.ts';
import { runOverConnection } from '../../src/worker/host.ts';
import { comparable } from './comparable.ts';

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

async function recordedBy(client: pg.Client, result: JsonObject): Promise<JsonObject> {
  const { rows } = await client.query<{ recorded: JsonObject }>(recordedQuery, [result['run_id']]);
  return comparable({ result, ...rows[0]!.recorded }) as JsonObject;
}

/** Rolled back, so that the next run begins with the same samples. */
export async function inTheDatabase(client: pg.Client): Promise<JsonObject> {
  await client.query('begin');
  try {
    const { rows } = await client.query<{ result: JsonObject }>('select maint.run(true) as result');
    return await recordedBy(client, rows[0]!.result);
  } finally {
    await client.query('rollback');
  }
}

export async function overTheConnection(client: pg.Client): Promise<JsonObject> {
  return await recordedBy(client, await runOverConnection(client, { force: true }));
}
