/** What a worker does by itself, one line each. */
import type { Chore } from './chore.ts';
import forgetOld from './forget-old.ts';
import freeDisk from './free-disk.ts';
import heartbeat from './heartbeat.ts';
import parseStatements from './parse-statements.ts';
import measureRebuilt from './measure-rebuilt.ts';
import queryHistory from './query-history.ts';
import planStatements from './plan-statements.ts';
import postAlerts from './post-alerts.ts';
import reconcile from './reconcile.ts';
import schedule from './schedule.ts';

export const chores: readonly Chore[] = [
  heartbeat, //
  reconcile,
  schedule,
  measureRebuilt,
  forgetOld,
  queryHistory,
  parseStatements,
  planStatements,
  freeDisk,
  postAlerts,
];
