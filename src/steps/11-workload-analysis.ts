/**
 * Step 11: how much is read and how much is written, in the last 24 hours, in the database and in each of its tables, and
 * what follows from it. Steps 8, 12 and 14 ask the same samples what a new index would cost.
 */
import { tableWorkloads } from '../catalog/index-write-cost.ts';
import type { TableWorkload } from '../catalog/index-write-cost.ts';
import { sampleWorkload, takeQuerySnapshot } from '../catalog/query-history.ts';
import { databaseSums, statementSums, tableCalls, updateFacts } from '../catalog/workload.ts';
import type { DatabaseSums, StatementSums, TableCalls, UpdateFacts } from '../catalog/workload.ts';
import { firstSnapshot, lossesOf, missingStatements } from '../catalog/history-coverage.ts';
import { countsAreTracked } from '../catalog/materialized-views.ts';
import type { Unexamined } from '../core/coverage.ts';
import { defineStep } from './step.ts';
import type { JsonObject } from './step.ts';

/** The result names this many tables, the busiest first; view maint.workload has them all. */
const listedTables = 20;

/** Fewer updates than that in 24 hours cost nothing that a setting would save. */
const manyUpdates = 1000;

/** Below this share of HOT updates most of them write into every index of the table. */
const lowHotShare = 0.5;

/** The columns that updates set are known where parsed statements make up for this share of the updated rows. */
const knownUpdates = 0.9;

/** Below this share of blocks found in memory a server that mostly reads waits for its disk. */
const lowHitShare = 0.95;
/** Shares of less than that many blocks say nothing: they come from whatever was read first. */
const manyBlocks = 10_000;

type WorkloadType = 'read-heavy' | 'write-heavy' | 'mixed';

interface Ratio extends JsonObject {
  reads: number;
  writes: number;
  /** From 0 to 1; null where nothing was done. */
  read_ratio: number | null;
}

function ratioOf(reads: number, writes: number): Ratio {
  const all = reads + writes;
  return { reads, writes, read_ratio: all === 0 ? null : rounded(reads / all) };
}

function rounded(share: number): number {
  return Math.round(share * 10_000) / 10_000;
}

function typeOf({ read_ratio: read }: Ratio, heavy: number): WorkloadType | null {
  if (read === null) return null;
  return read >= heavy ? 'read-heavy' : 1 - read >= heavy ? 'write-heavy' : 'mixed';
}

function rowsOf(table: TableWorkload): Ratio {
  return ratioOf(
    table.rows_scanned + table.rows_fetched,
    table.rows_inserted + table.rows_updated + table.rows_deleted,
  );
}

function tableResult(table: TableWorkload, calls: TableCalls | undefined, heavy: number): JsonObject {
  const rows = rowsOf(table);
  return {
    table: table.quoted,
    workload_type: typeOf(rows, heavy),
    rows,
    calls: calls ? ratioOf(calls.read_calls, calls.write_calls) : null,
    blocks: table.blocks,
    hot_share: table.rows_updated === 0 ? null : rounded(table.rows_hot_updated / table.rows_updated),
    indexes: table.indexes,
  };
}

function tableAdvice(
  table: TableWorkload,
  calls: TableCalls | undefined,
  facts: UpdateFacts | undefined,
): JsonObject[] {
  const { rows_updated, rows_hot_updated, quoted } = table;
  if (rows_updated < manyUpdates || rows_hot_updated / rows_updated >= lowHotShare || !facts) return [];
  const indexed = new Set(facts.indexed_columns);
  const share = Math.round((rows_hot_updated / rows_updated) * 100);
  const updates = calls?.set_columns ?? [];
  const set = updates.filter(({ column }) => indexed.has(column)).map(({ column }) => column);
  if (set.length > 0) {
    return [
      {
        kind: 'indexed_columns_updated',
        table: quoted,
        columns: set,
        detail: `only ${share} % of the updates of ${quoted} are HOT: they set ${set.join(', ')}, which is indexed. See whether those indexes are needed`,
        statement: null,
      },
    ];
  }
  // What statements that no worker has parsed set could be indexed.
  const known = Math.max(0, ...updates.map(({ rows }) => rows));
  if (known < rows_updated * knownUpdates || (facts.fillfactor ?? 100) < 100) return [];
  return [
    {
      kind: 'fillfactor',
      table: quoted,
      detail: `only ${share} % of the updates of ${quoted} are HOT, though no column that they set is indexed: its pages have no room for the new rows`,
      statement: `alter table ${quoted} set (fillfactor = 90);`,
    },
  ];
}

function databaseAdvice(type: WorkloadType | null, sums: DatabaseSums): JsonObject[] {
  const blocks = sums.blks_hit + sums.blks_read;
  const advice: JsonObject[] = [];
  if (type === 'write-heavy') {
    advice.push({
      kind: 'few_indexes',
      detail:
        'most of the work is writing: each index costs it, so drop those of steps 6 and 10 first, and create one only where its gain is verified',
      statement: null,
    });
  }
  if (type === 'read-heavy') {
    advice.push({
      kind: 'indexes_pay',
      detail:
        'most of the work is reading: an index that serves a slow pattern of step 8 costs the few writes little',
      statement: null,
    });
  }
  if (blocks >= manyBlocks && sums.blks_hit / blocks < lowHitShare) {
    advice.push({
      kind: 'memory',
      detail: `only ${Math.round((sums.blks_hit / blocks) * 100)} % of the blocks were found in shared_buffers: look at sequential scans among the slow patterns, then at shared_buffers`,
      statement: null,
    });
  }
  return advice;
}

/** Calls say best what clients do; rows of tables, where no statement was counted. */
function basisOf(
  statements: StatementSums | null,
  calls: Ratio,
  rows: Ratio,
): { basis: string; ratio: Ratio } {
  return statements !== null && calls.read_ratio !== null
    ? { basis: 'calls', ratio: calls }
    : { basis: 'rows', ratio: rows };
}

function sumOfTables(tables: readonly TableWorkload[]): Ratio {
  const all = tables.map(rowsOf);
  return ratioOf(
    all.reduce((sum, { reads }) => sum + reads, 0),
    all.reduce((sum, { writes }) => sum + writes, 0),
  );
}

const firstSample: Unexamined = {
  what: 'reads and writes of tables',
  reason: 'insufficient_history',
  detail: 'the first sample was taken now',
};

export default defineStep({
  number: 11,
  name: 'workload_analysis',
  title: 'Analyze workload',
  feature: 'features.workload_analysis',
  kinds: [],
  config: {
    enabled: { type: 'boolean', default: true, doc: 'Analyze what is read and what is written.' },
    interval: {
      type: 'integer',
      unit: 'seconds',
      default: 21_600,
      minimum: 0,
      maximum: 31_536_000,
      doc: 'Time between two runs of this check; 0 for every run.',
    },
    heavy_ratio: {
      type: 'number',
      // Where the one is more than twice the other, to serve it comes first. What lies between is mixed.
      default: 0.7,
      minimum: 0.5,
      maximum: 1,
      doc: 'From this share of reads on it is read-heavy, from this share of writes on write-heavy.',
    },
  },
  interval: (config) => config.interval,
  unexamined: {
    cleanup: { workload_analysis: { workload_type: null, read_ratio: null, write_ratio: null } },
  },

  *check({ config, now }) {
    const snapshot = yield* takeQuerySnapshot(now);
    const sampled = yield* sampleWorkload(now);
    const counted = snapshot.status === 'taken' || snapshot.status === 'busy';
    const sums = yield* statementSums(now);
    const statements = counted && sums.since !== null ? sums : null;
    const database = yield* databaseSums(now);
    const tables = (yield* tableWorkloads(now, null)).sort((a, b) => b.blocks - a.blocks || a.oid - b.oid);
    const callsOf = new Map((yield* tableCalls(now)).map((one) => [one.oid, one]));
    const facts = yield* updateFacts(
      tables.filter(({ rows_updated: updated }) => updated >= manyUpdates).map(({ oid }) => oid),
    );

    const calls = ratioOf(sums.read_calls, sums.write_calls);
    const { basis, ratio } = basisOf(statements, calls, sumOfTables(tables));
    const type = typeOf(ratio, config.heavy_ratio);
    const unknown = (): { status: string; detail: string } =>
      sampled.first === true && !statements
        ? { status: 'insufficient_history', detail: 'the first sample was taken now' }
        : { status: 'no_activity', detail: 'no statement read or wrote a table in the last 24 hours' };
    const result: JsonObject = {
      workload_type: type,
      read_ratio: ratio.read_ratio,
      write_ratio: ratio.read_ratio === null ? null : rounded(1 - ratio.read_ratio),
      ...(type === null ? unknown() : { status: 'analyzed', basis }),
      calls: statements && calls,
      rows: statements ? ratioOf(sums.rows_read, sums.rows_written) : sumOfTables(tables),
      blocks: statements && ratioOf(sums.blocks_read, sums.blocks_written),
      unclassified_calls: statements && sums.unclassified_calls,
      wal: {
        // All of the server's, other databases and our own work included.
        server_bytes: database.since === null ? null : database.server_wal_bytes,
        statements_bytes: statements && sums.wal_bytes,
      },
      window: { since: statements?.since ?? database.since, until: statements?.until ?? database.until },
      counters_lost: (statements?.counters_lost ?? false) || database.counters_lost,
      statements: counted ? { status: 'counted', not_readable: sums.unreadable } : { ...snapshot },
      tables_used: tables.length,
      tables: tables
        .slice(0, listedTables)
        .map((table) => tableResult(table, callsOf.get(table.oid), config.heavy_ratio)),
      recommendations: [
        ...databaseAdvice(type, database),
        ...tables.flatMap((table) => tableAdvice(table, callsOf.get(table.oid), facts.get(table.oid))),
      ].slice(0, listedTables),
    };
    const unexamined: Unexamined[] = [];
    if (snapshot.status !== 'taken' && snapshot.status !== 'busy')
      unexamined.push(missingStatements(snapshot.status, snapshot));
    else if (statements === null) unexamined.push(firstSnapshot);
    else unexamined.push(...(yield* lossesOf(statements)));
    if (!(yield* countsAreTracked()))
      unexamined.push({ what: 'rows of tables', reason: 'not_counted', detail: 'track_counts is off' });
    else if (sampled.first === true) unexamined.push(firstSample);
    return {
      result: { cleanup: { workload_analysis: result } },
      findings: [],
      alerts: [],
      actions: [],
      examined: [],
      coverage: { examined: tables.length, of: tables.length, unexamined },
    };
  },
});
