/** The registry: one line a step, in order. */
import bypassStatus from './00-bypass-status.ts';
import integrityCheck from './01-integrity-check.ts';
import orphanedIndexes from './02-orphaned-indexes.ts';
import invalidIndexes from './03-invalid-indexes.ts';
import staleAdvisoryLocks from './04-stale-advisory-locks.ts';
import staleOperations from './05-stale-operations.ts';
import unusedIndexes from './06-unused-indexes.ts';
import indexHealth from './07-index-health.ts';
import patternLearning from './08-pattern-learning.ts';
import refreshStatistics from './09-refresh-statistics.ts';
import redundantIndexes from './10-redundant-indexes.ts';
import workloadAnalysis from './11-workload-analysis.ts';
import foreignKeys from './12-foreign-keys.ts';
import hangingBuilds from './13-hanging-builds.ts';
import materializedViews from './14-materialized-views.ts';
import safeguardMetrics from './15-safeguard-metrics.ts';
import predictiveMaintenance from './16-predictive-maintenance.ts';
import trainQueryRisk from './17-train-query-risk.ts';
import type { Step } from './step.ts';

export const steps: readonly Step[] = [
  bypassStatus,
  integrityCheck,
  orphanedIndexes,
  invalidIndexes,
  staleAdvisoryLocks,
  staleOperations,
  unusedIndexes,
  indexHealth,
  patternLearning,
  refreshStatistics,
  redundantIndexes,
  workloadAnalysis,
  foreignKeys,
  hangingBuilds,
  materializedViews,
  safeguardMetrics,
  predictiveMaintenance,
  trainQueryRisk,
];
