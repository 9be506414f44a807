/** The settings of the worker; those that keep it from acting stand in safeguard-settings.ts. */
import type { Settings } from './step.ts';

export const workerPrefix = 'operational.worker';

export const workerSettings = {
  lock_timeout: {
    type: 'integer',
    unit: 'milliseconds',
    // A statement that waits for a lock may make others queue behind it; one that gives up is tried again.
    default: 2000,
    minimum: 10,
    maximum: 60_000,
    doc: 'How long an action waits for a lock before it gives up and is tried again later.',
  },
  build_lock_timeout: {
    type: 'integer',
    unit: 'milliseconds',
    // The locks of a concurrent build hold up neither readers nor writers, and giving up throws its work away.
    default: 60_000,
    minimum: 100,
    maximum: 3_600_000,
    doc: 'How long a concurrent build or rebuild waits, once it is under way, for the transactions that use the table. In the queue for the table itself it stands no longer than lock_timeout.',
  },
  wait_for_transactions: {
    type: 'integer',
    unit: 'seconds',
    // Longer keeps a place in the worker occupied; shorter only costs another try.
    default: 30,
    minimum: 0,
    maximum: 3600,
    doc: 'How long an action waits at a time for transactions that a concurrent statement would have to wait for.',
  },
  patience: {
    type: 'integer',
    unit: 'seconds',
    // A finding that is still there is queued again by the next run.
    default: 21_600,
    minimum: 1,
    maximum: 604_800,
    doc: 'How long after it was queued an action that others hold up is tried before it is skipped.',
  },
  analyze_timeout: {
    type: 'integer',
    unit: 'seconds',
    // Too short, and the statistics of a very large table stay old; too long, and code in an index that does not end keeps a place.
    default: 600,
    minimum: 1,
    maximum: 86_400,
    doc: 'How long an ANALYZE may take before its session is ended: code in an index may catch a cancel. Its table is set aside then.',
  },
  build_timeout: {
    type: 'integer',
    unit: 'seconds',
    // Ending a build throws hours of work away; one that hangs costs a place, and drops have one of their own.
    default: 86_400,
    minimum: 1,
    maximum: 604_800,
    doc: 'How long a build or rebuild of an index may take before its session is ended. Its table is set aside then.',
  },
  attempts: {
    type: 'integer',
    // A dead lock or a killed server is over at the next try; what fails three times fails for a reason.
    default: 3,
    minimum: 1,
    maximum: 20,
    doc: 'How often an action is begun before it has failed.',
  },
} as const satisfies Settings;
