/** The settings of step 7. */
import { minSizeSetting } from '../../catalog/index-gain.ts';
import type { ConfigOf, Settings } from '../step.ts';

export const indexHealthSettings = {
  enabled: { type: 'boolean', default: true, doc: 'Measure the bloat of indexes.' },
  bloat_threshold: {
    type: 'number',
    unit: 'percent',
    default: 20,
    minimum: 1,
    maximum: 99,
    scoped: true,
    doc: 'An index is bloated when a REINDEX would give back more of it than this.',
  },
  min_size_mb: {
    ...minSizeSetting,
    doc: 'Smaller indexes are not looked at: there is little to win.',
  },
  auto_reindex: {
    type: 'boolean',
    default: false,
    scoped: true,
    doc: 'Queue the rebuild of bloated indexes. Off: report only.',
  },
  reindex_schedule: {
    type: 'text',
    default: 'weekly',
    choices: ['weekly', 'monthly', 'on_demand'],
    doc: 'How often rebuilds are queued. on_demand: only by `maint.apply`.',
  },
  reindex_max_indexes: {
    type: 'integer',
    default: 20,
    minimum: 1,
    maximum: 100_000,
    doc: 'The most rebuilds that are queued at a time; the limits of the safeguards hold beside it.',
  },
  reindex_min_days: {
    type: 'integer',
    unit: 'days',
    // An index that is bloated again within a week has a cause that a rebuild does not take away.
    default: 7,
    minimum: 0,
    maximum: 3650,
    scoped: true,
    doc: 'An index that was rebuilt in the last so many days, and is bloated again, is reported with the cause, not rebuilt.',
  },
  usage_days: {
    type: 'integer',
    unit: 'days',
    default: 7,
    minimum: 1,
    maximum: 365,
    doc: 'An index is underutilized when it was scanned rarely in the last so many days for its size and the writes it took.',
  },
  page_budget: {
    type: 'integer',
    // Half a gigabyte, a few seconds from a disk. Too low puts some indexes off to a later run, which takes the stalest first.
    default: 100_000,
    minimum: 0,
    maximum: 1_000_000_000,
    doc: 'Index pages that one run reads at most.',
  },
  time_budget: {
    type: 'integer',
    unit: 'milliseconds',
    default: 20_000,
    minimum: 0,
    maximum: 3_600_000,
    doc: 'How long one run begins to measure; what it did not come to is left to the next one.',
  },
  sample_days: {
    type: 'integer',
    unit: 'days',
    default: 7,
    minimum: 1,
    maximum: 365,
    doc: 'How long each sample is kept; after that one a day is.',
  },
  history_days: {
    type: 'integer',
    unit: 'days',
    default: 400,
    minimum: 1,
    maximum: 3650,
    doc: 'How long the samples of `maint.index_history` are kept, one a day.',
  },
} as const satisfies Settings;

export type IndexHealthConfig = ConfigOf<typeof indexHealthSettings>;
