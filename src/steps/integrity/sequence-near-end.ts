/**
 * Sequences that are about to run out: of their own range, or of the column they fill. Read straight from the
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
import type { Finding } from '../step.ts';

interface Sequence {
  oid: number;
  quoted: string;
  readable: boolean;
}

interface Position {
  oid: number;
  schema: string;
  sequence: string;
  quoted: string;
  percent: number;
  /** As text: there may be more than a number of JavaScript counts exactly. */
  values_left: string;
  column: string | null;
}

/** Statements are planned as a whole; beyond a few hundred branches that costs more than the trip it saves. */
const batchSize = 100;

/** From here the next nextval is close to failing: fewer than 1 % of the values are left. */
const criticalPercent = 99;

/** Cycling sequences never end. Temporary ones of other sessions are not ours. */
const sequencesQuery = `
  select pg_catalog.jsonb_build_object('oid', c.oid::int8, 'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'readable', pg_catalog.has_sequence_privilege(c.oid, 'select')
        and pg_catalog.has_schema_privilege(n.oid, 'usage')) as row
  from pg_catalog.pg_sequence as s
  join pg_catalog.pg_class as c on c.oid = s.seqrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where not s.seqcycle and ${userSchema}
  order by n.nspname, c.relname`;

/** Positions of the sequences whose quoted names the server gave. The narrowest column a sequence fills is its bound. */
function positionsQuery(sequences: readonly Sequence[]): string {
  const positions = sequences
    .map(({ oid, quoted }) => `select ${oid}::oid as oid, s.last_value, s.is_called from ${quoted} as s`)
    .join('\n    union all ');
  return `
  with position as (
    ${positions}
  ), filled as (
    select d.objid as oid, d.refobjid as attrelid, d.refobjsubid as attnum
    from pg_catalog.pg_depend as d
    where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
      and d.deptype in ('a', 'i') and d.refobjsubid > 0 and d.objid in (select p.oid from position as p)
    union
    select d.refobjid, f.adrelid, f.adnum
    from pg_catalog.pg_depend as d
    join pg_catalog.pg_attrdef as f on f.oid = d.objid
    where d.classid = 'pg_catalog.pg_attrdef'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
      and d.refobjid in (select p.oid from position as p)
  ), bound as (
    select distinct on (f.oid) f.oid, limits.maximum,
      pg_catalog.format('%I.%I.%I', n.nspname, c.relname, a.attname) as column_name
    from filled as f
    join pg_catalog.pg_attribute as a on a.attrelid = f.attrelid and a.attnum = f.attnum
    join pg_catalog.pg_class as c on c.oid = f.attrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join pg_catalog.pg_type as t on t.oid = a.atttypid
    join (values
      ('pg_catalog.int2'::regtype::oid, 32767::numeric),
      ('pg_catalog.int4'::regtype::oid, 2147483647),
      ('pg_catalog.int8'::regtype::oid, 9223372036854775807)) as limits (type_oid, maximum)
      on limits.type_oid = case t.typtype when 'd' then t.typbasetype else t.oid end
    order by f.oid, limits.maximum, column_name
  ), ranged as (
    select p.oid, b.column_name, s.seqincrement,
      case when s.seqincrement > 0 then s.seqmin else s.seqmax end::numeric as first_value,
      case when s.seqincrement > 0 then least(s.seqmax, b.maximum) else greatest(s.seqmin, -b.maximum - 1) end
        ::numeric as final_value,
      p.last_value::numeric as last_value, p.is_called
    from position as p
    join pg_catalog.pg_sequence as s on s.seqrelid = p.oid
    left join bound as b on b.oid = p.oid
  ), measured as (
    select r.oid, r.column_name,
      greatest(1, pg_catalog.trunc((r.final_value - r.first_value) / r.seqincrement) + 1) as total,
      pg_catalog.trunc((r.final_value - r.last_value) / r.seqincrement) + case when r.is_called then 0 else 1 end
        as remaining
    from ranged as r
  )
  select pg_catalog.jsonb_build_object('oid', m.oid::int8, 'schema', n.nspname, 'sequence', c.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'percent', round(100 * greatest(0, m.total - m.remaining) / m.total, 2),
      'values_left', greatest(0, m.remaining)::text,
      'column', m.column_name) as row
  from measured as m
  join pg_catalog.pg_class as c on c.oid = m.oid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  order by n.nspname, c.relname`;
}

/** The positions of a batch; the locks it took are given back. */
function readPositions(sequences: readonly Sequence[]): Program<Outcome<Position[]>> {
  return attemptAndUndo(() => query<Position>(positionsQuery(sequences)));
}

/** The positions of a batch, one by one where the batch as a whole cannot be read. */
function* readBatch(
  batch: readonly Sequence[],
): Program<{ positions: Position[]; unread: string[]; state?: string }> {
  const whole = yield* readPositions(batch);
  if (whole.ok) return { positions: whole.value, unread: [] };
  if (batch.length === 1) {
    return { positions: [], unread: batch.map(({ quoted }) => quoted), state: whole.failure.sqlstate };
  }
  const half = Math.ceil(batch.length / 2);
  const first = yield* readBatch(batch.slice(0, half));
  const second = yield* readBatch(batch.slice(half));
  const state = first.state ?? second.state;
  return {
    positions: [...first.positions, ...second.positions],
    unread: [...first.unread, ...second.unread],
    ...(state !== undefined && { state }),
  };
}

const name = 'sequence_near_end';

function nearEndFinding(position: Position): Finding {
  const { schema, sequence, quoted, percent, values_left, column } = position;
  return {
    kind: integrityKind(name),
    severity: percent >= criticalPercent ? 'critical' : 'warning',
    schema,
    table: null,
    object: sequence,
    summary: `Sequence ${quoted} has used ${percent} % of its values${column === null ? '' : ` (column ${column})`}.`,
    detail: { percent, values_left, column },
    remedy: null,
  };
}

export const sequenceNearEnd: IntegrityCheck = {
  name,
  title: 'Sequences near the end of their range or their column',
  *look({ config }) {
    const sequences = yield* query<Sequence>(sequencesQuery);
    const readable = sequences.filter((sequence) => sequence.readable);
    const forbidden = sequences.filter((sequence) => !sequence.readable).map(({ quoted }) => quoted);
    const positions: Position[] = [];
    const unread: string[] = [];
    let state: string | undefined;
    for (let start = 0; start < readable.length; start += batchSize) {
      const batch = yield* readBatch(readable.slice(start, start + batchSize));
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
      findings: positions
        .filter(({ percent }) => percent >= config.sequence_used_percent)
        .map(nearEndFinding),
      total: sequences.length,
      examined: positions.length,
      ...(unexamined.length > 0 && { unexamined }),
    };
  },
};
