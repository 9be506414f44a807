/** --fail-on: which open findings make a command end with 1. */
import { Option } from 'commander';
import type { ShownFinding } from '../render.ts';
import { openGaps } from '../gaps.ts';
import type { Gap } from '../gaps.ts';
import { exitCodes } from './command.ts';

const levels = ['info', 'warning', 'critical'] as const;

export type FailOn = (typeof levels)[number] | 'never';

/**
 * A warning is something to be done, an info something to be known: with `critical` as the default a cron job would
 * say nothing until it is late, with `info` it would cry every day.
 */
export const failOnOption = (): Option =>
  new Option('--fail-on <severity>', 'end with 1 when a finding of this severity or a worse one is open')
    .choices([...levels, 'never'])
    .default('warning');

/**
 * 0 or 1. A finding that an action has fixed since it was seen does not count. What is not examined is not healthy, unless
 * a person accepted that.
 */
export function healthCode(findings: readonly ShownFinding[], gaps: readonly Gap[], failOn: FailOn): number {
  if (failOn === 'never') return exitCodes.healthy;
  const least = levels.indexOf(failOn);
  const bad = findings.some(
    ({ severity, mended_by: action }) => action === null && levels.indexOf(severity) >= least,
  );
  return bad || openGaps(gaps).length > 0 ? exitCodes.unhealthy : exitCodes.healthy;
}
