/** What pg_stat_statements has seen in this database, or why it can't be asked. */
import { attempt, query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { sqlstate, unexaminedReason } from '../core/sqlstate.ts';
import type { Unexamined } from '../core/coverage.ts';
import { grantOf } from './grants.ts';
import type { ParsedStatement } from './parsed-statement.ts';
import { shapeOf } from './statement-shape.ts';
import type { StatementShape } from './statement-shape.ts';

export interface SeenStatement {
  text: string;
  calls: number;
  /** As a worker parsed it; null where none has. */
  shape: ParsedStatement | null;
}

/** What it compares, one for each SELECT, UPDATE or DELETE in it; by its tokens where no worker has parsed it. */
export function shapesOf({ text, shape }: SeenStatement): StatementShape[] {
  if (shape !== null) return shape.blocks;
  const read = shapeOf(text);
  return read === null ? [] : [read];
}

export interface SeenStatements {
  statements: SeenStatement[];
  /** Null where all was read. */
  unexamined: Omit<Unexamined, 'what'> | null;
}

/**
 * The most called ones: enough to see what is used all the time, and few enough to read in some milliseconds. A rare
 * statement that is missed would hardly have asked for an index.
 */
const statementsRead = 1000;

/** Longer texts are generated ones, whose shape would not be understood anyway. */
const longestText = 20_000;

/** The statement to ask with: its schema is not known before, so the server quotes it into the text. */
const statementsTextQuery = `
  select pg_catalog.to_jsonb(pg_catalog.format($text$
    select pg_catalog.jsonb_build_object('text', s.query, 'calls', s.calls, 'shape', t.shape) as row
    from (
      select s.query, pg_catalog.sum(s.calls) as calls
      from %s.pg_stat_statements(true::pg_catalog.bool) as s
      where s.dbid = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
        and pg_catalog.length(s.query) <= ${longestText}
        and s.query ~* '\\mwhere\\M|\\mjoin\\M'
        and exists (select from pg_catalog.jsonb_array_elements_text($1::jsonb) as n (name)
          where pg_catalog.strpos(pg_catalog.lower(s.query), pg_catalog.lower(n.name)) > 0)
      group by s.query
      order by pg_catalog.sum(s.calls) desc, s.query
      limit ${statementsRead}
    ) as s
    left join maint.query_text as t on t.digest = pg_catalog.md5(s.query)
    order by s.calls desc, s.query
    $text$, e.schema)) as row
  from (select maint.extension_schema('pg_stat_statements', '{pg_stat_statements(boolean)}') as schema) as e
  where e.schema is not null
  order by 1`;

const mayReadOthersQuery = `
  select pg_catalog.to_jsonb(pg_catalog.pg_has_role('pg_read_all_stats', 'usage')) as row order by 1`;

/** The statements that may name one of the relations, most called first. Never throws for want of the extension. */
export function* seenStatements(relationNames: readonly string[]): Program<SeenStatements> {
  if (relationNames.length === 0) return { statements: [], unexamined: null };
  const [text] = yield* query<string>(statementsTextQuery);
  if (text === undefined) {
    return {
      statements: [],
      unexamined: {
        reason: 'not_installed',
        detail: 'the extension pg_stat_statements is not installed here',
        remedy: 'create extension pg_stat_statements;',
      },
    };
  }
  // As they stand in a text: quotes in a name are doubled there.
  const names = [...new Set(relationNames)].map((name) => name.replaceAll('"', '""'));
  const outcome = yield* attempt(() => query<SeenStatement>(text, [names]));
  if (!outcome.ok) {
    const { sqlstate: state, message } = outcome.failure;
    // Not in shared_preload_libraries: there as an extension, but it collects nothing.
    const reason =
      state === sqlstate.objectNotInPrerequisiteState
        ? 'not_installed'
        : (unexaminedReason(state) ?? 'failed');
    return { statements: [], unexamined: { reason, detail: message } };
  }
  const [mayReadOthers] = yield* query<boolean>(mayReadOthersQuery);
  return {
    statements: outcome.value,
    unexamined: mayReadOthers
      ? null
      : {
          reason: 'not_permitted',
          detail: "statements of other roles can't be read",
          remedy: yield* grantOf('pg_read_all_stats'),
        },
  };
}
