/** The settings of the run itself; those of a step stand in the step's file. */
import type { Settings } from './step.ts';

export const operationalPrefix = 'operational.maintenance_tasks';

export const operationalSettings = {
  enabled: { type: 'boolean', default: true, doc: 'Master toggle: false makes every run `skipped`.' },
  interval: {
    type: 'integer',
    unit: 'seconds',
    default: 3600,
    minimum: 60,
    maximum: 604_800,
    doc: 'Time between two runs. An earlier call without `force` is `skipped`.',
  },
  scheduled: {
    type: 'boolean',
    default: true,
    doc: 'Whether a worker runs maintenance by itself at that interval; `maint.schedule` and `maint.unschedule` set both.',
  },
  step_time_budget: {
    type: 'integer',
    unit: 'seconds',
    // Too short costs a step its result (it says `timed_out`); too long lets one step hold up the run.
    default: 60,
    minimum: 1,
    maximum: 3600,
    doc: 'How long one step may go on starting queries. What it did not reach is reported as `timed_out`.',
  },
  lock_timeout: {
    type: 'integer',
    unit: 'milliseconds',
    // Checks take AccessShareLock only; waiting longer behind DDL would make others queue behind us.
    default: 1000,
    minimum: 10,
    maximum: 60_000,
    doc: 'How long a check waits for a lock before it reports what it wanted as not examined.',
  },
  retention_days: {
    type: 'integer',
    unit: 'days',
    default: 90,
    minimum: 1,
    maximum: 3650,
    doc: 'How long runs, resolved findings and finished actions are kept.',
  },
} as const satisfies Settings;
