/** What a run found, and what became of each finding: cleaned, waiting for a word, or the user's own. */
import type pg from 'pg';
import { sqlstateOf } from '../../src/worker/errors.ts';

export interface Outcome {
  finding_id: number;
  kind: string;
  severity: string;
  summary: string;
  remedy: string | null;
  /** Not found any more by a later run. */
  resolved: boolean;
  /** The last action for it, with what it did. */
  action: { action_id: number; status: string; outcome: string | null; statement: string | null } | null;
  /** How many bytes the action freed. */
  freed: number | null;
  /** Whether maint.apply would take it. */
  appliable: boolean;
}

/** The findings that some run saw since `since`, without the muted ones. */
export async function outcomesSince(client: pg.Client, since: string): Promise<Outcome[]> {
  const { rows } = await client.query<Omit<Outcome, 'appliable'>>(
    `select f.finding_id::int, f.kind, f.severity, f.summary, f.remedy, f.resolved_at is not null as resolved,
       (select jsonb_build_object('action_id', a.action_id, 'status', a.status, 'outcome', a.outcome,
          'statement', a.statement)
        from maint.actions as a where a.finding_id = f.finding_id order by a.action_id desc limit 1) as action,
       (select (a.size_before - coalesce(a.size_after, 0))::float8
        from maint.actions as a where a.finding_id = f.finding_id and a.status = 'succeeded'
        order by a.action_id desc limit 1) as freed
     from maint.findings as f
     where f.last_seen >= $1 and f.muted_until is null
     order by f.resolved_at is null, array_position(array['critical', 'warning', 'info'], f.severity), f.finding_id`,
    [since],
  );
  const outcomes: Outcome[] = [];
  for (const row of rows)
    outcomes.push({ ...row, appliable: !row.resolved && (await isAppliable(client, row)) });
  return outcomes;
}

/** Asked of maint.apply itself, in a transaction that is rolled back. */
async function isAppliable(client: pg.Client, { finding_id: id }: { finding_id: number }): Promise<boolean> {
  await client.query('begin');
  try {
    await client.query('select maint.apply($1)', [id]);
    return true;
  } catch (error) {
    // It says no, with its reason; anything else is a defect.
    if (sqlstateOf(error) === '22023') return false;
    throw error;
  } finally {
    await client.query('rollback');
  }
}
