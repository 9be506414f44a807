/**
 * The structure of B-tree indexes, by amcheck's bt_index_check: AccessShareLock only, so readers and writers go on.
 * Within a time budget, least recently checked first; maint.index_check keeps when and with what outcome. An index
 * counts as examined while its last check is younger than btree_recheck_days.
 */
import { grantExecuteOn } from '../../catalog/grants.ts';
import { attempt, clock, query, queryOne } from '../../core/program.ts';
import type { Failure, Program } from '../../core/program.ts';
import { sqlstate, unexaminedReason } from '../../core/sqlstate.ts';
import type { UnexaminedReason } from '../../core/coverage.ts';
import type { IntegrityCheck, IntegrityReport } from './check.ts';
import { integrityKind, namesInSummary, summarizeNames, userSchema } from './check.ts';
import type { Finding } from '../step.ts';

/** An index whose last check is too old, or found it corrupt. */
interface DueIndex {
  oid: number;
  pages: number;
  /** A check of this very file is young enough to count. */
  recent: boolean;
  corrupt: boolean;
}

interface Listing {
  total: number;
  due: DueIndex[];
}

interface Name {
  oid: number;
  schema: string;
  table: string;
  index: string;
  quoted: string;
}

interface Availability {
  /** Of the function that is called, quoted; null where the extension does not have it. */
  schema: string | null;
  installed: boolean;
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
  select pg_catalog.jsonb_build_object('schema', e.schema, 'installed',
      exists (select from pg_catalog.pg_extension as x where x.extname = 'amcheck'),
      'permitted', coalesce(pg_catalog.has_schema_privilege(n.oid, 'usage')
        and pg_catalog.has_function_privilege(p.oid, 'execute'), false)) as row
  from (select maint.extension_schema('amcheck', '{bt_index_check(regclass)}') as schema) as e
  left join pg_catalog.pg_namespace as n on pg_catalog.quote_ident(n.nspname) = e.schema
  left join pg_catalog.pg_proc as p on p.pronamespace = n.oid and p.proname = 'bt_index_check'
    and pg_catalog.oidvectortypes(p.proargtypes) = 'regclass'
  order by 1`;

/**
 * Ready and valid B-trees that this session can read; of those that are due no more than it takes to check them, since
 * there may be many. The corrupt come first: they are what must be looked at again.
 */
const indexesQuery = `
  select pg_catalog.jsonb_build_object('total', pg_catalog.count(*), 'due', coalesce(
      pg_catalog.jsonb_agg(
        pg_catalog.jsonb_build_object('oid', i.oid::int8, 'pages', i.pages, 'recent', i.recent, 'corrupt', i.corrupt)
        order by i.corrupt desc, i.checked_at nulls first, i.pages, i.nspname, i.relname)
      filter (where i.corrupt or not i.recent), '[]')) as row
  from (
    select c.oid, n.nspname, c.relname, greatest(c.relpages, 1) as pages, k.checked_at,
      coalesce(k.outcome = 'corrupt', false) as corrupt,
      coalesce(k.outcome <> 'not_examined'
        and k.checked_at > pg_catalog.clock_timestamp() - pg_catalog.make_interval(days => $1::int), false) as recent
    from pg_catalog.pg_index as x
    join pg_catalog.pg_class as c on c.oid = x.indexrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join pg_catalog.pg_am as m on m.oid = c.relam and m.amname = 'btree'
    left join maint.index_check as k on k.index_oid = c.oid and k.relfilenode = c.relfilenode
    where x.indisvalid and x.indisready and c.relkind = 'i' and c.relpersistence <> 't'
      and (${userSchema} or n.nspname in ('pg_catalog', 'pg_toast'))
  ) as i
  order by 1`;

const namesQuery = `
  select pg_catalog.jsonb_build_object('oid', c.oid::int8, 'schema', n.nspname, 'table', t.relname, 'index', c.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname)) as row
  from pg_catalog.jsonb_array_elements_text($1::jsonb) as wanted (oid)
  join pg_catalog.pg_class as c on c.oid = wanted.oid::oid
  join pg_catalog.pg_index as x on x.indexrelid = c.oid
  join pg_catalog.pg_class as t on t.oid = x.indrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  order by n.nspname, c.relname`;

/**
 * Keeps rows s (oid, outcome, reason, duration_ms). An index that has vanished meanwhile is left out, and one known to
 * be corrupt remains so until somebody could look again.
 */
const remember = (rows: string): string => `
    insert into maint.index_check as k (index_oid, schema_name, table_name, index_name, relfilenode, pages, outcome,
      reason, duration_ms, checked_at)
    select c.oid, n.nspname, t.relname, c.relname, c.relfilenode, greatest(c.relpages, 1), s.outcome, s.reason,
      s.duration_ms, pg_catalog.clock_timestamp()
    from ${rows}
    join pg_catalog.pg_class as c on c.oid = s.oid
    join pg_catalog.pg_index as x on x.indexrelid = c.oid
    join pg_catalog.pg_class as t on t.oid = x.indrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    on conflict (index_oid) do update set
      schema_name = excluded.schema_name, table_name = excluded.table_name, index_name = excluded.index_name,
      relfilenode = excluded.relfilenode, pages = excluded.pages, outcome = excluded.outcome,
      reason = excluded.reason, duration_ms = excluded.duration_ms, checked_at = excluded.checked_at
    where (k.outcome, excluded.outcome) <> ('corrupt', 'not_examined') or k.relfilenode <> excluded.relfilenode
    returning k.index_oid`;

const rememberFailureQuery = `
  with remembered as (${remember(
    'pg_catalog.jsonb_to_record($1::jsonb) as s (oid oid, outcome text, reason text, duration_ms numeric)',
  )}
  )
  select pg_catalog.to_jsonb(pg_catalog.count(*)) as row from remembered order by 1`;

/**
 * Checks the indexes of a batch until the time is up, remembers those as sound and returns which they are. The call is
 * volatile, so that it and the clock readings around it are made row by row, from left to right.
 */
const checkQuery = (schema: string): string => `
  with began as materialized (
    select pg_catalog.clock_timestamp() as at
  ), checked as materialized (
    select i.oid::oid as oid, pg_catalog.clock_timestamp() as started,
      ${schema}.bt_index_check(i.oid::pg_catalog.oid::pg_catalog.regclass) as checked, pg_catalog.clock_timestamp() as finished
    from began as b
    cross join pg_catalog.jsonb_array_elements_text($1::jsonb) as i (oid)
    where pg_catalog.clock_timestamp() < b.at + $2::float8 * interval '1 millisecond'
  ), remembered as (${remember(`(
      select c.oid, 'sound' as outcome, null as reason,
        extract(epoch from c.finished - c.started) * 1000 as duration_ms
      from checked as c) as s`)}
  )
  select pg_catalog.jsonb_agg(c.oid::int8 order by c.oid) as row from checked as c order by 1`;

/** Of indexes large enough that pages, not the call, take the time. */
const speedQuery = `
  select pg_catalog.to_jsonb(pg_catalog.sum(k.pages) / nullif(pg_catalog.sum(k.duration_ms), 0)) as row
  from maint.index_check as k where k.outcome = 'sound' and k.duration_ms > 0 and k.pages >= 100
  order by 1`;

const name = 'btree_structure';

interface Examination {
  index: DueIndex;
  outcome: 'sound' | 'corrupt' | 'not_examined';
  failure: Failure | null;
}

function outcomeOf(failure: Failure): Examination['outcome'] {
  const corrupt: readonly string[] = [sqlstate.indexCorrupted, sqlstate.dataCorrupted];
  return corrupt.includes(failure.sqlstate) ? 'corrupt' : 'not_examined';
}

/** Checks a batch; where one of it fails, its halves, so that each failure is told of the index that it is about. */
function* examineBatch(batch: readonly DueIndex[], schema: string, deadline: number): Program<Examination[]> {
  const started = yield* clock();
  const attempted = yield* attempt(() =>
    queryOne<number[] | null>(checkQuery(schema), [batch.map(({ oid }) => oid), deadline - started]),
  );
  if (attempted.ok) {
    const checked = new Set(attempted.value);
    return batch
      .filter(({ oid }) => checked.has(oid))
      .map((index) => ({ index, outcome: 'sound', failure: null }));
  }
  const [index] = batch;
  if (index !== undefined && batch.length === 1) {
    const { failure } = attempted;
    const outcome = outcomeOf(failure);
    const reason = `${failure.sqlstate} ${failure.message}`;
    const duration = (yield* clock()) - started;
    yield* query(rememberFailureQuery, [{ oid: index.oid, outcome, reason, duration_ms: duration }]);
    return [{ index, outcome, failure }];
  }
  const half = Math.ceil(batch.length / 2);
  const first = yield* examineBatch(batch.slice(0, half), schema, deadline);
  return [...first, ...(yield* examineBatch(batch.slice(half), schema, deadline))];
}

/** Checks indexes in the given order as long as the budget lasts; one whose predicted time is more is passed over. */
function* examine(indexes: readonly DueIndex[], schema: string, budgetMs: number): Program<Examination[]> {
  const examinations: Examination[] = [];
  const [measured] = yield* query<number | null>(speedQuery);
  const pagesPerMs = measured ?? initialPagesPerMs;
  const deadline = (yield* clock()) + budgetMs;
  let next = 0;
  while (next < indexes.length) {
    const left = deadline - (yield* clock());
    if (left <= 0) break;
    const batch: DueIndex[] = [];
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

function corruptFinding({ schema, table, index, quoted }: Name, failure: Failure | null): Finding {
  return {
    kind: integrityKind(name),
    severity: 'critical',
    schema,
    table,
    object: index,
    summary: `Index ${quoted} is corrupt: ${failure?.message ?? 'amcheck failed'}.`,
    detail: {
      sqlstate: failure?.sqlstate ?? null,
      message: failure?.message ?? null,
      detail: failure?.detail ?? null,
    },
    remedy: `reindex index concurrently ${quoted};`,
  };
}

function unavailable(total: number, reason: UnexaminedReason, remedy: string): IntegrityReport {
  return { findings: [], total, examined: 0, unexamined: [{ reason, remedy }] };
}

function* namesOf(indexes: readonly DueIndex[]): Program<Map<number, Name>> {
  if (indexes.length === 0) return new Map();
  const names = yield* query<Name>(namesQuery, [indexes.map(({ oid }) => oid)]);
  return new Map(names.map((each) => [each.oid, each]));
}

export const btreeStructure: IntegrityCheck = {
  name,
  title: 'Structure of B-tree indexes (amcheck)',
  *look({ config }) {
    const { total, due } = yield* queryOne<Listing>(indexesQuery, [config.btree_recheck_days]);
    const available = yield* queryOne<Availability>(availabilityQuery);
    if (!available.schema) {
      const remedy = available.installed ? 'alter extension amcheck update;' : 'create extension amcheck;';
      return unavailable(total, 'not_installed', remedy);
    }
    if (!available.permitted) {
      return unavailable(
        total,
        'not_permitted',
        yield* grantExecuteOn(`${available.schema}.bt_index_check(regclass)`),
      );
    }
    const examinations = yield* examine(due, available.schema, config.btree_time_budget);

    const outcomes = new Map(examinations.map(({ index, outcome }) => [index.oid, outcome]));
    const missed = due.filter(({ oid, recent }) => {
      const outcome = outcomes.get(oid);
      return outcome === undefined ? !recent : outcome === 'not_examined';
    });
    const failure = examinations.find(({ outcome }) => outcome === 'not_examined')?.failure;
    const corrupt = examinations.filter(({ outcome }) => outcome === 'corrupt');
    const stillCorrupt = due.filter(
      (index) => index.corrupt && (outcomes.get(index.oid) ?? 'not_examined') === 'not_examined',
    );
    const mentioned = missed.slice(0, namesInSummary);
    const names = yield* namesOf([...corrupt.map(({ index }) => index), ...stillCorrupt, ...mentioned]);
    const nameOf = ({ oid }: DueIndex): Name[] => [names.get(oid) ?? []].flat();
    const summary = summarizeNames(
      mentioned.flatMap(nameOf).map(({ quoted }) => quoted),
      missed.length,
    );
    return {
      findings: corrupt.flatMap((each) =>
        nameOf(each.index).map((named) => corruptFinding(named, each.failure)),
      ),
      total,
      examined: total - missed.length,
      note: { checked_now: examinations.length },
      ...(missed.length > 0 && {
        unexamined: [
          {
            reason: (failure && unexaminedReason(failure.sqlstate)) ?? (failure ? 'failed' : 'timed_out'),
            detail: `${failure ? `${failure.message}: ` : ''}${summary}`,
          },
        ],
      }),
      keepOpen: stillCorrupt
        .flatMap(nameOf)
        .map(({ schema, table, index }) => ({ kind: integrityKind(name), schema, table, object: index })),
    };
  },
};
