/** How the last training of each kind ended: maint.training. */
import type pg from 'pg';

export async function recordTraining(
  client: pg.ClientBase,
  kind: 'query_risk' | 'forecast',
  status: 'done' | 'insufficient_data' | 'failed',
  reason: string | null,
  detail: object,
): Promise<void> {
  await client.query(
    `insert into maint.training (kind, status, reason, detail) values ($1, $2, $3, $4)
     on conflict (kind) do update set status = excluded.status, reason = excluded.reason, detail = excluded.detail,
       finished_at = pg_catalog.clock_timestamp()`,
    [kind, status, reason, JSON.stringify(detail)],
  );
}
