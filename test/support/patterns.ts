/** What tests of step 8 share. */
import type { JsonObject } from '../../src/steps/step.ts';
import { planRequests } from '../../src/worker/planning/plan-requests.ts';
import { SharedSession } from '../../src/worker/shared-session.ts';
import type { TestDatabase } from './database.ts';
import { requireDone, run } from './maintenance.ts';

export interface Learning {
  slow_patterns: number | null;
  fast_patterns: number | null;
  status: string;
  detail?: string;
  remedy?: string;
  not_parsed_yet?: number;
  counters_lost?: boolean;
  unexamined?: { reason: string; detail: string; remedy: string };
}

export interface Pattern {
  kind: string;
  text: string;
  calls: number;
  total_exec_ms: number;
  mean_exec_ms: number;
  tables: string[];
  parsed: boolean;
  reasons: JsonObject[];
  suggestions: JsonObject[];
}

export async function learn(database: TestDatabase): Promise<Learning> {
  const result = await run(database, { only: ['pattern_learning'] });
  requireDone(result, 'pattern_learning');
  return result.cleanup['pattern_learning'] as unknown as Learning;
}

export async function patterns(database: TestDatabase): Promise<Pattern[]> {
  return await database.query<Pattern>(
    `select kind, text, calls::int, total_exec_ms, mean_exec_ms, tables, parsed, reasons, suggestions
     from maint.query_patterns`,
  );
}

export async function configure(database: TestDatabase, key: string, value: number): Promise<void> {
  await database.query('select maint.configure($1, $2)', [`features.pattern_learning.${key}`, String(value)]);
}

/** What a worker does from time to time: makes the plans that the last run has asked for. */
export async function planAsked(database: TestDatabase): Promise<void> {
  const client = await database.client();
  const onlooker = new SharedSession(await database.client());
  await planRequests(client, { url: database.url, onlooker, signal: new AbortController().signal });
}
