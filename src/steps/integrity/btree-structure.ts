/**
 * The structure of B-tree indexes, by amcheck's bt_index_check: AccessShareLock only, so readers and writers go on.
 * Within a time budget, least recently checked first; maint.index_check keeps when and with what outcome. An index
 * counts as examined while its last check is younger than btree_recheck_days.
 */
import { attempt, clock, query } from '../../core/program.ts';
import type { Failure, Program } from '../../core/program.ts';
import { sqlstate, unexaminedReason } from '../../core/sqlstate.ts';
import type { UnexaminedReason } from '../../core/sqlstate.ts';
import type { IntegrityCheck, IntegrityReport } from './check.ts';
import { integrityKind, summarizeNames, userSchema } from './check.ts';
import type { Finding } from '../step.ts';

interface Index {
  oid: number;
  schema: string;
  table: string;
  index: string;
  quoted: string;
  relfilenode: number;
  pages: number;
  /** A check of this very file is young enough to count. */
  recent: boolean;
  outcome: 'sound' | 'corrupt' | 'not_examined' | null;
}

interface Availability {
  schema: string | null;
  permitted: boolean;
}

/**
 * Pages checked in a millisecond before we have measured any on this server: a warm cache gives about ten times as
 * many. Too low only puts large indexes off to a run that measured better.
 */
const initialPagesPerMs = 20;

/** Small indexes are checked many at a time, since a statement of its own takes longer than the check of one. */
const batchSize = 100;

/** Large ones are not: a failure makes the whole batch be checked again. */
const batchMs = 100;

const availabilityQuery = `
  select pg_catalog.jsonb_build_object(
      'schema', (
        select pg_catalog.quote_ident(n.nspname)
        from pg_catalog.pg_extension as e
        join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
        where e.extname = 'amcheck'),
      'permitted', coalesce((
        select pg_catalog.has_function_privilege(p.oid, 'execute')
          and pg_catalog.has_schema_privilege(p.pronamespace, 'usage')
        from pg_catalog.pg_extension as e
        join pg_catalog.pg_depend as d on d.refclassid = 'pg_catalog.pg_extension'::regclass and d.refobjid = e.oid
          and d.classid = 'pg_catalog.pg_proc'::regclass and d.deptype = 'e'
        join pg_catalog.pg_proc as p on p.oid = d.objid
        where e.extname = 'amcheck' and p.proname = 'bt_index_check' and p.pronargs = 1
      ), false)) as row
  order by 1`;

/** Ready and valid B-trees that this session can read. The corrupt come first: they are what must be looked at again. */
const indexesQuery = `
  select pg_catalog.jsonb_build_object('oid', c.oid::int8, 'schema', n.nspname, 'table', t.relname, 'index', c.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'relfilenode', c.relfilenode::int8, 'pages', greatest(c.relpages, 1),
      'recent', coalesce(k.outcome <> 'not_examined'
        and k.checked_at > pg_catalog.clock_timestamp() - pg_catalog.make_interval(days => $1::int), false),
      'outcome', k.outcome) as row
  from pg_catalog.pg_index as x
  join pg_catalog.pg_class as c on c.oid = x.indexrelid
  join pg_catalog.pg_class as t on t.oid = x.indrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join pg_catalog.pg_am as m on m.oid = c.relam and m.amname = 'btree'
  left join maint.index_check as k on k.index_oid = c.oid and k.relfilenode = c.relfilenode
  where x.indisvalid and x.indisready and c.relkind = 'i' and c.relpersistence <> 't'
    and (${userSchema} or n.nspname in ('pg_catalog', 'pg_toast'))
  order by k.outcome is not distinct from 'corrupt' desc, k.checked_at nulls first, c.relpages, n.nspname, c.relname`;

/** Names are taken from the catalog again: sending them back and forth costs more than the join. */
const rememberQuery = `
  with remembered as (
    insert into maint.index_check (index_oid, schema_name, table_name, index_name, relfilenode, pages, outcome,
      reason, duration_ms, checked_at)
    select k.oid, n.nspname, t.relname, c.relname, k.relfilenode, k.pages, k.outcome, k.reason, k.duration_ms,
      pg_catalog.clock_timestamp()
    from pg_catalog.jsonb_to_recordset($1::jsonb) as k (oid oid, relfilenode oid, pages bigint, outcome text,
      reason text, duration_ms numeric)
    join pg_catalog.pg_class as c on c.oid = k.oid
    join pg_catalog.pg_index as x on x.indexrelid = k.oid
    join pg_catalog.pg_class as t on t.oid = x.indrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    on conflict (index_oid) do update set
      schema_name = excluded.schema_name, table_name = excluded.table_name, index_name = excluded.index_name,
      relfilenode = excluded.relfilenode, pages = excluded.pages, outcome = excluded.outcome,
      reason = excluded.reason, duration_ms = excluded.duration_ms, checked_at = excluded.checked_at
    returning 1
  )
  select pg_catalog.to_jsonb(pg_catalog.count(*)) as row from remembered order by 1`;

/** Of indexes large enough that pages, not the call, take the time. */
const speedQuery = `
  select pg_catalog.to_jsonb(pg_catalog.sum(k.pages) / nullif(pg_catalog.sum(k.duration_ms), 0)) as row
  from maint.index_check as k where k.outcome = 'sound' and k.duration_ms > 0 and k.pages >= 100
  order by 1`;

const name = 'btree_structure';

interface Checked {
  oid: number;
  duration_ms: number;
}

interface Examination {
  index: Index;
  outcome: 'sound' | 'corrupt' | 'not_examined';
  failure: Failure | null;
  durationMs: number;
}

function outcomeOf(failure: Failure): Examination['outcome'] {
  const corrupt: readonly string[] = [sqlstate.indexCorrupted, sqlstate.dataCorrupted];
  return corrupt.includes(failure.sqlstate) ? 'corrupt' : 'not_examined';
}

/**
 * Checks the indexes of a batch until the time is up, and says how long each took. The call is volatile, so that it and
 * the clock readings around it are made row by row, from left to right.
 */
const checkQuery = (schema: string): string => `
  with began as materialized (select pg_catalog.clock_timestamp() as at)
  select pg_catalog.jsonb_build_object('oid', c.oid::int8,
      'duration_ms', extract(epoch from c.finished - c.started)::float8 * 1000) as row
  from (
    select i.oid::oid as oid, pg_catalog.clock_timestamp() as started,
      ${schema}.bt_index_check(i.oid::oid::regclass) as checked, pg_catalog.clock_timestamp() as finished
    from began as b
    cross join pg_catalog.jsonb_array_elements_text($1::jsonb) as i (oid)
    where pg_catalog.clock_timestamp() < b.at + $2::float8 * interval '1 millisecond'
  ) as c
  order by c.oid`;

/** Checks a batch; where one of it fails, its halves, so that each failure is told of the index that it is about. */
function* examineBatch(batch: readonly Index[], schema: string, deadline: number): Program<Examination[]> {
  const started = yield* clock();
  const outcome = yield* attempt(() =>
    query<Checked>(checkQuery(schema), [batch.map(({ oid }) => oid), deadline - started]),
  );
  if (outcome.ok) {
    const checked = new Map(outcome.value.map(({ oid, duration_ms }) => [oid, duration_ms]));
    return batch.flatMap((index) => {
      const durationMs = checked.get(index.oid);
      return durationMs === undefined ? [] : [{ index, outcome: 'sound', failure: null, durationMs }];
    });
  }
  const [index] = batch;
  if (index !== undefined && batch.length === 1) {
    const { failure } = outcome;
    return [{ index, outcome: outcomeOf(failure), failure, durationMs: (yield* clock()) - started }];
  }
  const half = Math.ceil(batch.length / 2);
  const first = yield* examineBatch(batch.slice(0, half), schema, deadline);
  return [...first, ...(yield* examineBatch(batch.slice(half), schema, deadline))];
}

/** Checks indexes in the given order as long as the budget lasts; one whose predicted time is more is passed over. */
function* examine(indexes: readonly Index[], schema: string, budgetMs: number): Program<Examination[]> {
  const examinations: Examination[] = [];
  const [measured] = yield* query<number | null>(speedQuery);
  const pagesPerMs = measured ?? initialPagesPerMs;
  const deadline = (yield* clock()) + budgetMs;
  let next = 0;
  while (next < indexes.length) {
    const left = deadline - (yield* clock());
    if (left <= 0) break;
    const batch: Index[] = [];
    let predicted = 0;
    for (let index = indexes[next]; index && batch.length < batchSize; index = indexes[next]) {
      const own = index.pages / pagesPerMs;
      if (batch.length > 0 && predicted + own > Math.min(batchMs, left)) break;
      next += 1;
      if (own > left) continue;
      batch.push(index);
      predicted += own;
    }
    if (batch.length > 0) examinations.push(...(yield* examineBatch(batch, schema, deadline)));
  }
  return examinations;
}

function* remember(examinations: readonly Examination[]): Program<void> {
  if (examinations.length === 0) return;
  yield* query(rememberQuery, [
    examinations.map(({ index, outcome, failure, durationMs }) => ({
      oid: index.oid,
      relfilenode: index.relfilenode,
      pages: index.pages,
      outcome,
      reason: failure ? `${failure.sqlstate} ${failure.message}` : null,
      duration_ms: durationMs,
    })),
  ]);
}

function corruptFinding({ index, failure }: Examination): Finding {
  return {
    kind: integrityKind(name),
    severity: 'critical',
    schema: index.schema,
    table: index.table,
    object: index.index,
    summary: `Index ${index.quoted} is corrupt: ${failure?.message ?? 'amcheck failed'}.`,
    detail: {
      sqlstate: failure?.sqlstate ?? null,
      message: failure?.message ?? null,
      detail: failure?.detail ?? null,
    },
    remedy: `reindex index concurrently ${index.quoted};`,
  };
}

function unavailable(total: number, reason: UnexaminedReason, detail: string): IntegrityReport {
  return { findings: [], total, examined: 0, unexamined: { reason, detail } };
}

export const btreeStructure: IntegrityCheck = {
  name,
  title: 'Structure of B-tree indexes (amcheck)',
  *look({ config }) {
    const indexes = yield* query<Index>(indexesQuery, [config.btree_recheck_days]);
    const [available] = yield* query<Availability>(availabilityQuery);
    if (!available?.schema) return unavailable(indexes.length, 'not_installed', 'create extension amcheck;');
    if (!available.permitted) {
      return unavailable(
        indexes.length,
        'not_permitted',
        `grant execute on function ${available.schema}.bt_index_check(regclass) to the owner of schema maint`,
      );
    }
    const due = indexes.filter(({ recent, outcome }) => !recent || outcome === 'corrupt');
    const examinations = yield* examine(due, available.schema, config.btree_time_budget);
    yield* remember(examinations);

    const looked = new Map(examinations.map((examination) => [examination.index.oid, examination]));
    const isExamined = (index: Index): boolean => {
      const outcome = looked.get(index.oid)?.outcome;
      return outcome === undefined ? index.recent : outcome !== 'not_examined';
    };
    const missed = indexes.filter((index) => !isExamined(index));
    const failure = examinations.find(({ outcome }) => outcome === 'not_examined')?.failure;
    return {
      findings: examinations.filter(({ outcome }) => outcome === 'corrupt').map(corruptFinding),
      total: indexes.length,
      examined: indexes.length - missed.length,
      note: { checked_now: examinations.length },
      ...(missed.length > 0 && {
        unexamined: {
          reason: (failure && unexaminedReason(failure.sqlstate)) ?? (failure ? 'failed' : 'timed_out'),
          detail: `${failure ? `${failure.message}: ` : ''}${summarizeNames(missed.map(({ quoted }) => quoted))}`,
        },
      }),
      keepOpen: indexes
        .filter(
          ({ oid, outcome }) =>
            outcome === 'corrupt' && (looked.get(oid)?.outcome ?? 'not_examined') === 'not_examined',
        )
        .map(({ schema, table, index }) => ({ kind: integrityKind(name), schema, table, object: index })),
    };
  },
};
