/**
 * The indexes that are invalid and that nobody is building: what steps 1, 2 and 3 share.
 *
 * Catalog, then locks, then catalog again: a build that ended between the first look and the locks is valid or gone
 * at the second, one that began after the locks was not there at the first. Any other order reports a build in
 * progress once in a while.
 */
import { unexaminedClass } from '../core/coverage.ts';
import type { Unexamined } from '../core/coverage.ts';
import { attempt, query, queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import type { Finding } from '../steps/step.ts';
import { grantOf } from './grants.ts';
import { owningExtension } from './relations.ts';
import { refreshActivity, sessionsByPid } from './sessions.ts';

export interface InvalidIndex {
  oid: number;
  table_oid: number;
  schema: string;
  table: string;
  index: string;
  /** Schema and name as psql needs them. */
  quoted: string;
  quoted_table: string;
  /** Of the name, in the server's encoding: the server cuts names at 63. */
  name_bytes: number;
  partitioned: boolean;
  /** False after the second phase of a DROP INDEX CONCURRENTLY. */
  live: boolean;
  attached: boolean;
  /** A constraint that owns or references it; quoted. */
  constraint: string | null;
  replica_identity: boolean;
  clustered: boolean;
  /** The extension that owns it or its table. */
  extension: string | null;
  /** Null where the index was locked when asked. */
  definition: string | null;
  size_bytes: number | null;
}

/** An invalid index that could not be judged, because someone works on it or its table. */
export interface UndecidedIndex extends Pick<InvalidIndex, 'schema' | 'table' | 'index' | 'quoted'> {
  pid: number | null;
}

/** For a report's `keepOpen`: an open finding about an index that could not be judged stays open. */
export function undecidedFindings(
  kind: string,
  undecided: readonly UndecidedIndex[],
): Pick<Finding, 'kind' | 'schema' | 'table' | 'object'>[] {
  return undecided.map(({ schema, table, index }) => ({ kind, schema, table, object: index }));
}

/** For a result: which indexes could not be judged, and who works on them. */
export function undecidedNames(undecided: readonly UndecidedIndex[]): string[] {
  return undecided.map(({ quoted, pid }) => `${quoted} (process ${pid ?? 'unknown'})`);
}

export interface InvalidIndexes {
  settled: InvalidIndex[];
  undecided: UndecidedIndex[];
}

const invalidIndexesQuery = `
  select pg_catalog.jsonb_build_object(
      'oid', x.indexrelid::int8, 'table_oid', x.indrelid::int8,
      'schema', n.nspname, 'table', t.relname, 'index', c.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'quoted_table', pg_catalog.format('%I.%I', n.nspname, t.relname),
      'name_bytes', pg_catalog.octet_length(c.relname::text),
      'partitioned', c.relkind = 'I',
      'live', x.indislive,
      'attached', c.relispartition,
      'constraint', (
        select pg_catalog.quote_ident(k.conname) from pg_catalog.pg_constraint as k
        where k.conindid = x.indexrelid order by k.oid limit 1),
      'replica_identity', x.indisreplident,
      'clustered', x.indisclustered,
      'extension', ${owningExtension('c.oid', 't.oid')}
    ) as row
  from pg_catalog.pg_index as x
  join pg_catalog.pg_class as c on c.oid = x.indexrelid
  join pg_catalog.pg_class as t on t.oid = x.indrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where not x.indisvalid
    and c.relpersistence <> 't'
    and n.nspname not in ('pg_catalog', 'information_schema')
    and ($1::jsonb is null or x.indexrelid::text in (select pg_catalog.jsonb_array_elements_text($1::jsonb)))
  order by n.nspname, c.relname`;

/**
 * Who may be building or dropping what. A concurrent build keeps ShareUpdateExclusiveLock on the table, and on the
 * indexes it makes, in session locks over all its transactions; the progress view alone names the wrong index while a
 * REINDEX CONCURRENTLY waits for writers. Vacuum and analyze take the same lock, and so do sessions that sit idle in
 * a transaction, where no concurrent build can run: those are told apart where we may see them, else taken as
 * building, for a finding too late is better than dropping an index under its build.
 */
const workInProgressQuery = `
  select pg_catalog.jsonb_build_object('oid', work.oid::int8, 'pid', work.pid) as row
  from (
    select l.relation as oid, l.pid
    from pg_catalog.pg_locks as l
    left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
    where l.locktype = 'relation'
      and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
      and l.granted
      and l.mode in ('ShareUpdateExclusiveLock', 'AccessExclusiveLock')
      and l.pid is distinct from pg_catalog.pg_backend_pid()
      and not (
        l.mode = 'ShareUpdateExclusiveLock'
        and (
          a.backend_type = 'autovacuum worker'
          or a.state in ('idle', 'idle in transaction', 'idle in transaction (aborted)')
          or exists (select from pg_catalog.pg_stat_progress_vacuum as v where v.pid = l.pid)
          or exists (select from pg_catalog.pg_stat_progress_analyze as v where v.pid = l.pid)))
    union
    select named.oid, p.pid
    from pg_catalog.pg_stat_progress_create_index as p
    cross join lateral (values (p.relid), (p.index_relid)) as named (oid)
    where named.oid <> 0
      and p.datid = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  ) as work
  order by work.oid, work.pid`;

const detailQuery = `
  select pg_catalog.jsonb_build_object(
      'definition', pg_catalog.pg_get_indexdef(c.oid),
      'size_bytes', case c.relkind when 'i' then pg_catalog.pg_relation_size(c.oid) end
    ) as row
  from pg_catalog.pg_class as c
  where c.oid = $1::oid
  order by c.oid`;

/** Oid -> pid of the tables and indexes somebody works on. */
export function* workInProgress(): Program<Map<number, number | null>> {
  yield* refreshActivity();
  const rows = yield* query<{ oid: number; pid: number | null }>(workInProgressQuery);
  return new Map(rows.map(({ oid, pid }) => [oid, pid]));
}

export function* invalidIndexes(): Program<InvalidIndexes> {
  const candidates = yield* query<InvalidIndex>(invalidIndexesQuery, [null]);
  if (candidates.length === 0) return { settled: [], undecided: [] };
  const working = yield* workInProgress();
  const workerOn = ({ oid, table_oid }: InvalidIndex): number | null | undefined =>
    working.has(oid) ? working.get(oid) : working.get(table_oid);
  const isFree = (index: InvalidIndex): boolean => workerOn(index) === undefined;

  const undecided = candidates
    .filter((index) => !isFree(index))
    .map((found) => ({ ...undecidedName(found), pid: workerOn(found) ?? null }));
  const free = candidates.filter(isFree).map(({ oid }) => String(oid));
  const settled = free.length === 0 ? [] : yield* query<InvalidIndex>(invalidIndexesQuery, [free]);
  for (const index of settled) Object.assign(index, yield* detailOf(index.oid));
  return { settled, undecided };
}

/**
 * For the coverage of a step: indexes that another session builds or drops are judged when it has ended. A session that
 * does not show what it does may hold its lock for any reason.
 */
export function* undecidedCoverage(now: string, undecided: readonly UndecidedIndex[]): Program<Unexamined[]> {
  if (undecided.length === 0) return [];
  const sessions = yield* sessionsByPid(
    now,
    undecided.flatMap(({ pid }) => (pid === null ? [] : [pid])),
  );
  const isHidden = ({ pid }: UndecidedIndex): boolean =>
    pid !== null && (sessions.get(pid)?.visibility ?? 'visible') !== 'visible';
  const names = (those: readonly UndecidedIndex[]): string[] => those.map(({ quoted }) => quoted);
  const hidden = names(undecided.filter(isHidden));
  return [
    ...unexaminedClass(
      'indexes locked by sessions of other roles',
      'not_permitted',
      hidden,
      hidden.length > 0 ? yield* grantOf('pg_read_all_stats') : null,
    ),
    ...unexaminedClass(
      'indexes that other sessions are working on',
      'not_yet',
      names(undecided.filter((index) => !isHidden(index))),
    ),
  ];
}

const countQuery =
  'select pg_catalog.to_jsonb(pg_catalog.count(*)) as row from pg_catalog.pg_index order by 1';

/** Indexes of the database, the system's included: what a look for broken ones looks through. */
export function indexCount(): Program<number> {
  return queryOne<number>(countQuery);
}

function undecidedName({ schema, table, index, quoted }: InvalidIndex): Omit<UndecidedIndex, 'pid'> {
  return { schema, table, index, quoted };
}

type Detail = Pick<InvalidIndex, 'definition' | 'size_bytes'>;

function* detailOf(oid: number): Program<Detail> {
  const outcome = yield* attempt(() => query<Detail>(detailQuery, [oid]));
  const [detail] = outcome.ok ? outcome.value : [];
  return detail ?? { definition: null, size_bytes: null };
}
