/** The queries an index can serve, and whether the server finds a way to serve them. */
import type pg from 'pg';
import type { IndexSpec } from './random-schema.ts';

export interface ServedQuery {
  /** With `%t` for the table. */
  text: string;
  /** What is disabled beside sequential scans, so that the index shows what it can do. */
  settings: string[];
}

function where(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`;
}

/** Backward: each sort option turned over. */
function ordering(index: IndexSpec, backward: boolean): string {
  return index.keys
    .map(({ value, sort }) => {
      const descending = sort.includes('desc') !== backward;
      const nullsFirst = (sort.includes('nulls first') || sort === 'desc') !== backward;
      return `${value} ${descending ? 'desc' : 'asc'} nulls ${nullsFirst ? 'first' : 'last'}`;
    })
    .join(', ');
}

/** `alone`: also the search by the predicate alone, which only an index of the same rows serves as well. */
export function servedQueries(index: IndexSpec, alone: boolean): ServedQuery[] {
  const predicate = index.predicate === null ? [] : [index.predicate];
  const queries: ServedQuery[] = [];
  const add = (text: string, ...settings: string[]): void => {
    queries.push({ text, settings });
  };
  const equalities: string[] = [];
  for (const key of index.keys) {
    for (const condition of key.searches) {
      if (index.method === 'btree') add(`select * from %t${where([...equalities, condition, ...predicate])}`);
      else add(`select * from %t${where([condition, ...predicate])}`);
    }
    equalities.push(key.searches[0]!);
  }
  if (index.method !== 'btree') add(`select * from %t${where([...equalities, ...predicate])}`);
  if (alone && predicate.length > 0) add(`select * from %t${where(predicate)}`);
  if (index.method === 'btree' && index.keys.every(({ sortable }) => sortable)) {
    const noOther = ['enable_sort = off', 'enable_incremental_sort = off', 'enable_bitmapscan = off'];
    add(`select * from %t${where(predicate)} order by ${ordering(index, false)}`, ...noOther);
    add(`select * from %t${where(predicate)} order by ${ordering(index, true)}`, ...noOther);
  }
  if (index.method === 'btree' && index.keys.every(({ text }) => /^[a-z]+$/.test(text))) {
    const returned = [...index.keys.map(({ value }) => value), ...index.include].join(', ');
    add(`select ${returned} from %t${where([equalities[0]!, ...predicate])}`, 'enable_bitmapscan = off');
  }
  return queries;
}

export interface PlanTraits {
  /** Every table of the plan is read through an index. */
  indexed: boolean;
  sorted: boolean;
  indexOnly: boolean;
}

interface PlanNode {
  'Node Type': string;
  Plans?: PlanNode[];
}

function nodeTypes(node: PlanNode): string[] {
  return [node['Node Type'], ...(node.Plans ?? []).flatMap(nodeTypes)];
}

/** Plans a query on a table, with every other way than an index disabled. */
export async function planTraits(
  client: pg.ClientBase,
  query: ServedQuery,
  table: string,
): Promise<PlanTraits> {
  await client.query('savepoint plan; set local enable_seqscan = off');
  for (const setting of query.settings) await client.query(`set local ${setting}`);
  const { rows } = await client.query<{ 'QUERY PLAN': { Plan: PlanNode }[] }>(
    `explain (format json, costs off) ${query.text.replaceAll('%t', table)}`,
  );
  await client.query('rollback to savepoint plan');
  const types = nodeTypes(rows[0]!['QUERY PLAN'][0]!.Plan);
  return {
    indexed: !types.includes('Seq Scan'),
    sorted: types.some((type) => type.includes('Sort')),
    indexOnly: types.includes('Index Only Scan'),
  };
}

/**
 * What `after` lacks of `before`; null where nothing. Index-only scans are compared where a table has one index:
 * among several the server may choose a cheaper one that has to visit the table.
 */
export function lost(before: PlanTraits, after: PlanTraits, indexOnlyToo = false): string | null {
  if (before.indexed && !after.indexed) return 'an index path';
  if (before.indexed && !before.sorted && after.sorted) return 'the order';
  if (indexOnlyToo && before.indexOnly && !after.indexOnly) return 'an index-only scan';
  return null;
}

/** Runs in a transaction that is undone. */
export async function undone<Result>(client: pg.ClientBase, work: () => Promise<Result>): Promise<Result> {
  await client.query('begin');
  try {
    return await work();
  } finally {
    await client.query('rollback');
  }
}
