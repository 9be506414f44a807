/** Every action passes all of these, in this order, each time it is about to begin. */
import type pg from 'pg';
import { safeguardPrefix } from '../../steps/safeguard-settings.ts';
import type { ActionRow } from '../actions/action.ts';
import { queryRow } from '../connection.ts';
import { bypass } from './bypass.ts';
import { recordEvent } from './event.ts';
import { featureSwitch } from './feature-switch.ts';
import { freeDiskSafeguard } from './free-disk.ts';
import { limits } from './limits.ts';
import { loadThrottle } from './load-throttle.ts';
import { maintenanceWindow } from './maintenance-window.ts';
import { rateLimit } from './rate-limit.ts';
import type { Safeguard, SafeguardConfig, Verdict } from './safeguard.ts';
import { timeLeft } from './time-left.ts';

export const safeguards: readonly Safeguard[] = [
  bypass,
  featureSwitch,
  maintenanceWindow,
  rateLimit,
  loadThrottle,
  limits,
  timeLeft,
  freeDiskSafeguard,
];

/**
 * The first refusal, which is recorded as an event, or that all allow it. The settings are read each time: a change
 * takes effect with the next action.
 */
export async function checkSafeguards(client: pg.ClientBase, action: ActionRow): Promise<Verdict> {
  const { config } = await queryRow<{ config: SafeguardConfig }>(
    client,
    'select maint.config($1) as config',
    [safeguardPrefix],
  );
  for (const { name, check } of safeguards) {
    const answer = await check(client, action, config);
    if (answer.allowed) continue;
    const { reason, retryAfterSeconds, detail } = answer;
    await recordEvent(client, action, 'refused', {
      safeguard: name,
      reason,
      ...(detail !== undefined && { detail }),
    });
    return {
      allowed: false,
      safeguard: name,
      reason,
      retryAfterSeconds,
      ...(detail !== undefined && { detail }),
    };
  }
  return { allowed: true };
}
