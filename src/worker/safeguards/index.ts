/** Every action passes all of these, in this order, each time it is about to begin. */
import type pg from 'pg';
import type { ActionRow } from '../actions/action.ts';
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

/** The first refusal, which is recorded as an event, or that all allow it. By the settings as the action began. */
export async function checkSafeguards(
  client: pg.ClientBase,
  action: ActionRow,
  config: SafeguardConfig,
): Promise<Verdict> {
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
