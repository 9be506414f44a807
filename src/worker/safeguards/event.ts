/** Rows of maint.safeguard_event: what step 15 counts. */
import type pg from 'pg';
import type { Json } from '../../steps/step.ts';
import type { ActionRow } from '../actions/action.ts';

export type SafeguardEvent = 'attempt' | 'success' | 'failure' | 'refused' | 'lock_timeout';

export async function recordEvent(
  client: pg.ClientBase,
  action: Pick<ActionRow, 'action_id' | 'kind'>,
  event: SafeguardEvent,
  more: { safeguard?: string; reason?: string; detail?: Json } = {},
): Promise<void> {
  await client.query(
    `insert into maint.safeguard_event (action_id, kind, event, safeguard, reason, detail)
     values ($1, $2, $3, $4, $5, $6::jsonb)`,
    [
      action.action_id,
      action.kind,
      event,
      more.safeguard ?? null,
      more.reason ?? null,
      more.detail === undefined ? null : JSON.stringify(more.detail),
    ],
  );
}
