/** What may keep an action from being done now. DESIGN §8 has the order; each refusal is an event with its reason. */
import type pg from 'pg';
import type { Json } from '../../steps/step.ts';
import type { ActionRow } from '../actions/action.ts';

/** The settings below `operational.safeguards`, without that prefix. */
export type SafeguardConfig = Readonly<Record<string, Json>>;

/** `retryAfterSeconds` null: never; the action is skipped for good. */
export type Answer =
  { allowed: true } | { allowed: false; reason: string; retryAfterSeconds: number | null; detail?: Json };

export interface Safeguard {
  name: string;
  check(client: pg.ClientBase, action: ActionRow, config: SafeguardConfig): Promise<Answer>;
}

/** What checkSafeguards(client, action) in index.ts returns: the first refusal, or that all allow it. */
export type Verdict =
  | { allowed: true }
  | { allowed: false; safeguard: string; reason: string; retryAfterSeconds: number | null; detail?: Json };
