/** The settings of how alerts reach people who do not look. */
import type { Settings } from './step.ts';

export const alertPrefix = 'operational.alerts';

export const alertSettings = {
  notify: {
    type: 'boolean',
    default: true,
    doc: 'Send each alert as `NOTIFY maint_alert` when its run commits.',
  },
  webhook_url: {
    type: 'text',
    default: '',
    doc: 'Where a worker posts alerts as JSON, an http or https URL; empty: nowhere. Whoever may read the configuration sees it: put a secret into the variable PG_MAINT_WEBHOOK_AUTHORIZATION of the worker.',
  },
  webhook_min_severity: {
    type: 'text',
    default: 'warning',
    choices: ['info', 'warning', 'critical'],
    doc: 'Only alerts of this severity and worse ones are posted.',
  },
  webhook_repeat_hours: {
    type: 'integer',
    unit: 'hours',
    // Every run says again what is still so. Too short and nobody reads it any more, too long and it is forgotten.
    default: 24,
    minimum: 0,
    maximum: 720,
    doc: 'The same alert of the same step is posted once in this time; 0: each time.',
  },
  webhook_attempts: {
    type: 'integer',
    // With the pauses doubling from 10 seconds to an hour, ten last some four hours: longer than most outages.
    default: 10,
    minimum: 1,
    maximum: 100,
    doc: 'How often a post is tried before it has failed.',
  },
} as const satisfies Settings;
