/**
 * Sequences that are about to run out: of their own range, or of the narrowest column that they fill. Read straight from the
 * sequences, a batch at a time in a subtransaction that is rolled back, because reading one (and all the more
 * pg_sequence_last_value) keeps a lock on it to the end of the transaction.
 */
import { grantOf } from '../../catalog/grants.ts';
import type { Unexamined } from '../../core/coverage.ts';
import { attemptAndUndo, query } from '../../core/program.ts';
import type { Outcome, Program } from '../../core/program.ts';
import { unexaminedReason } from '../../core/sqlstate.ts';
import type { IntegrityCheck } from './check.ts';
import { integrityKind, summarizeNames, userSchema } from './check.ts';
import { columnBounds } from './sequence-columns.ts';
import type { ColumnBound, NamedSequence } from './sequence-columns.ts';
import type { Finding } from '../step.ts';

interface Sequence extends NamedSequence {
  quoted: string;
  readable: boolean;
}

interface Position {
  oid: number;
  schema: string;
  sequence: string;
  quoted: string;
  /** Null where it cycles within the range of what it fills, and never ends. */
  percent: number | null;
  /** As text: there may be more than a number of JavaScript counts exactly. */
  values_left: string;
  column: string | null;
  limited_by: 'sequence' | 'column';
}

type Bounds = ReadonlyMap<number, ColumnBound>;

/** Statements are planned as a whole; beyond a few hundred branches that costs more than the trip it saves. */
const batchSize = 100;

/** From here the next nextval is close to failing: fewer than 1 % of the values are left. */
const criticalPercent = 99;

/** Temporary sequences of other sessions are not ours. */
const sequencesQuery = `
  select pg_catalog.jsonb_build_object('oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'readable', pg_catalog.has_sequence_privilege(c.oid, 'select')
        and pg_catalog.has_schema_privilege(n.oid, 'usage')) as row
  from pg_catalog.pg_sequence as s
  join pg_catalog.pg_class as c on c.oid = s.seqrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where ${userSchema}
  order by n.nspname, c.relname`;

/**
 * Positions of the sequences whose quoted names the server gave, by the bounds in $1. A sequence that cycles never ends, unless a column that
 * it fills is narrower: then the column overflows before the sequence turns.
 */
function positionsQuery(sequences: readonly Sequence[]): string {
  const positions = sequences
    .map(({ oid, quoted }) => `select ${oid}::oid as oid, s.last_value, s.is_called from ${quoted} as s`)
    .join('\n    union all ');
  return `
  with position as (
    ${positions}
  ), ranged as (
    select p.oid, s.seqincrement, p.last_value::numeric as last_value, p.is_called,
      s.seqcycle and s.seqmin >= coalesce(b.minimum, s.seqmin) and s.seqmax <= coalesce(b.maximum, s.seqmax) as is_endless,
      case when s.seqincrement > 0 then b.highest_of else b.lowest_of end as column_name,
      case when s.seqincrement > 0 then b.maximum < s.seqmax else b.minimum > s.seqmin end as is_narrower,
      case when s.seqincrement > 0 then s.seqmin else s.seqmax end::numeric as first_value,
      case when s.seqincrement > 0 then least(s.seqmax, b.maximum) else greatest(s.seqmin, b.minimum) end
        ::numeric as final_value
    from position as p
    join pg_catalog.pg_sequence as s on s.seqrelid = p.oid
    left join pg_catalog.jsonb_to_recordset($1::jsonb)
      as b (oid int8, minimum numeric, maximum numeric, lowest_of text, highest_of text) on b.oid = p.oid::int8
  ), measured as (
    select r.oid, r.column_name, r.is_narrower, r.is_endless,
      greatest(1, pg_catalog.trunc((r.final_value - r.first_value) / r.seqincrement) + 1) as total,
      pg_catalog.trunc((r.final_value - r.last_value) / r.seqincrement) + case when r.is_called then 0 else 1 end
        as remaining
    from ranged as r
  )
  select pg_catalog.jsonb_build_object('oid', m.oid::int8, 'schema', n.nspname, 'sequence', c.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'percent', case when not m.is_endless then round(100 * greatest(0, m.total - m.remaining) / m.total, 2) end,
      'values_left', greatest(0, m.remaining)::text,
      'column', m.column_name,
      'limited_by', case when m.is_narrower then 'column' else 'sequence' end) as row
  from measured as m
  join pg_catalog.pg_class as c on c.oid = m.oid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  order by n.nspname, c.relname`;
}

/** The positions of a batch; the locks it took are given back. */
function readPositions(sequences: readonly Sequence[], bounds: Bounds): Program<Outcome<Position[]>> {
  const known = sequences.flatMap(({ oid }) => bounds.get(oid) ?? []);
  return attemptAndUndo(() => query<Position>(positionsQuery(sequences), [known]));
}

/** The positions of a batch, one by one where the batch as a whole cannot be read. */
function* readBatch(
  batch: readonly Sequence[],
  bounds: Bounds,
): Program<{ positions: Position[]; unread: string[]; state?: string }> {
  const whole = yield* readPositions(batch, bounds);
  if (whole.ok) return { positions: whole.value, unread: [] };
  if (batch.length === 1) {
    return { positions: [], unread: batch.map(({ quoted }) => quoted), state: whole.failure.sqlstate };
  }
  const half = Math.ceil(batch.length / 2);
  const first = yield* readBatch(batch.slice(0, half), bounds);
  const second = yield* readBatch(batch.slice(half), bounds);
  const state = first.state ?? second.state;
  return {
    positions: [...first.positions, ...second.positions],
    unread: [...first.unread, ...second.unread],
    ...(state !== undefined && { state }),
  };
}

const name = 'sequence_near_end';

function nearEndFinding(position: Position, percent: number): Finding {
  const { schema, sequence, quoted, values_left, column, limited_by } = position;
  const filled = column === null ? '' : ` (column ${column})`;
  return {
    kind: integrityKind(name),
    severity: percent >= criticalPercent ? 'critical' : 'warning',
    schema,
    table: null,
    object: sequence,
    summary:
      limited_by === 'column' && column !== null
        ? `Sequence ${quoted} has used ${percent} % of the values that column ${column} can hold.`
        : `Sequence ${quoted} has used ${percent} % of its values${filled}.`,
    detail: { percent, values_left, column, limited_by },
    remedy: null,
  };
}

export const sequenceNearEnd: IntegrityCheck = {
  name,
  title: 'Sequences near the end of their range or their column',
  *look({ config }) {
    const sequences = yield* query<Sequence>(sequencesQuery);
    const bounds = yield* columnBounds(sequences);
    const readable = sequences.filter((sequence) => sequence.readable);
    const forbidden = sequences.filter((sequence) => !sequence.readable).map(({ quoted }) => quoted);
    const positions: Position[] = [];
    const unread: string[] = [];
    let state: string | undefined;
    for (let start = 0; start < readable.length; start += batchSize) {
      const batch = yield* readBatch(readable.slice(start, start + batchSize), bounds);
      positions.push(...batch.positions);
      unread.push(...batch.unread);
      state ??= batch.state;
    }
    const unexamined: Omit<Unexamined, 'what'>[] = [];
    if (forbidden.length > 0) {
      unexamined.push({
        reason: 'not_permitted',
        detail: summarizeNames(forbidden),
        remedy: yield* grantOf('pg_read_all_data'),
      });
    }
    if (unread.length > 0) {
      const reason = (state !== undefined && unexaminedReason(state)) || 'failed';
      unexamined.push({ reason, detail: summarizeNames(unread) });
    }
    return {
      findings: positions.flatMap((position) =>
        position.percent !== null && position.percent >= config.sequence_used_percent
          ? [nearEndFinding(position, position.percent)]
          : [],
      ),
      total: sequences.length,
      examined: positions.length,
      ...(unexamined.length > 0 && { unexamined }),
    };
  },
};
