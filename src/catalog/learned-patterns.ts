/** What step 8 remembers of patterns, in maint.query_pattern. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import type { JsonObject } from '../steps/step.ts';

export interface LearnedPattern extends JsonObject {
  key: string;
  kind: 'slow' | 'fast';
  text: string;
  parsed: boolean;
  tables: string[];
  statements: number;
  calls: number;
  total_exec_ms: number;
  mean_exec_ms: number;
  rows_per_call: number;
  blocks_per_call: number;
  share_of_time: number | null;
  reasons: JsonObject[];
  suggestions: JsonObject[];
}

/** One row a shape: what was slow and is fast now is fast. A text that was parsed since has its row under its fingerprint. */
const keepQuery = `
  with given as materialized (
    select g.*
    from pg_catalog.jsonb_to_recordset($1::jsonb) as g (key text, kind text, text text, parsed boolean, tables jsonb,
      statements int, calls bigint, total_exec_ms float8, mean_exec_ms float8, rows_per_call float8,
      blocks_per_call float8, share_of_time float8, reasons jsonb, suggestions jsonb)
  ), kept as (
    insert into maint.query_pattern as p (pattern_key, kind, text, parsed, tables, statements, calls, total_exec_ms,
      mean_exec_ms, rows_per_call, blocks_per_call, share_of_time, reasons, suggestions, window_from, window_to,
      first_learned, last_learned, expires_at)
    select g.key, g.kind, g.text, g.parsed, g.tables, g.statements, g.calls, g.total_exec_ms, g.mean_exec_ms,
      g.rows_per_call, g.blocks_per_call, g.share_of_time, g.reasons, g.suggestions, $3::timestamptz, $4::timestamptz,
      $2::timestamptz, $2::timestamptz, $2::timestamptz + pg_catalog.make_interval(days => $5::int)
    from given as g
    order by g.key
    on conflict (pattern_key) do update set
      kind = excluded.kind, text = excluded.text, parsed = excluded.parsed, tables = excluded.tables,
      statements = excluded.statements, calls = excluded.calls, total_exec_ms = excluded.total_exec_ms,
      mean_exec_ms = excluded.mean_exec_ms, rows_per_call = excluded.rows_per_call,
      blocks_per_call = excluded.blocks_per_call, share_of_time = excluded.share_of_time, reasons = excluded.reasons,
      suggestions = excluded.suggestions, window_from = excluded.window_from, window_to = excluded.window_to,
      first_learned = case when p.kind = excluded.kind then p.first_learned else excluded.first_learned end,
      last_learned = excluded.last_learned, expires_at = excluded.expires_at
    returning p.pattern_id
  ), forgotten as (
    delete from maint.query_pattern as p
    where p.pattern_key not in (select g.key from given as g)
      and (p.expires_at <= $2::timestamptz
        or p.pattern_key like 'text:%' and exists (
          select from maint.query_text as t where 'text:' || t.digest = p.pattern_key and t.fingerprint is not null))
    returning p.pattern_id
  )
  select pg_catalog.jsonb_build_object('kept', (select pg_catalog.count(*) from kept),
      'forgotten', (select pg_catalog.count(*) from forgotten)) as row
  order by 1`;

/** Keeps what was learned now and forgets what has expired. */
export function* keepPatterns(
  patterns: readonly LearnedPattern[],
  now: string,
  window: { from: string; to: string },
  expiryDays: number,
): Program<void> {
  yield* query(keepQuery, [patterns, now, window.from, window.to, expiryDays]);
}
