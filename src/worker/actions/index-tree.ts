/**
 * Indexes of partitioned tables. The server builds none of these concurrently, so each partition's is built by itself; then
 * those of the partitioned tables are made ON ONLY them and the others attached, in one transaction: there is the
 * whole tree or nothing that bears its name.
 */
import type pg from 'pg';
import type { Json, JsonObject } from '../../steps/step.ts';
import { asOwnerOf } from '../act-as.ts';
import { inTransaction } from '../connection.ts';
import { HeldUp } from '../errors.ts';
import { dropLeftover, indexByName, stateQuery } from './index-state.ts';
import type { IndexState } from './index-state.ts';

/** One index below the root: what makes it, and what of it is the server's already. */
export interface TreeNode {
  schema: string;
  index: string;
  quoted: string;
  /** Of its table; quoted. */
  table: string;
  table_oid: number;
  partitioned: boolean;
  /** The table above; quoted. */
  parent: string;
  /** With CONCURRENTLY, also for a partitioned table, where that is left out. */
  statement: string;
  afterwards: string[];
  tablespace: string;
  /** An equal index that was there before: it is attached, and stays when all else is taken back. */
  taken: boolean;
}

/** What a drop remembers of each index below the root. */
export interface RememberedNode {
  table: string;
  schema: string;
  index: string;
  quoted: string;
  statements: string[];
  tablespace: string;
}

/** The indexes below a partitioned one, with all that is set on them. */
export async function rememberTree(client: pg.ClientBase, root: IndexState): Promise<RememberedNode[]> {
  const { rows } = await client.query<{ row: IndexState }>(
    `${stateQuery} where c.oid in (
       select t.relid from pg_catalog.pg_partition_tree($1::oid::regclass) as t where t.level > 0)
     order by n.nspname, c.relname`,
    [root.oid],
  );
  return rows.map(({ row }) => ({
    table: row.quoted_table,
    schema: row.schema,
    index: row.index,
    quoted: row.quoted,
    statements: row.inverse['statements'] as string[],
    tablespace: (row.inverse['settings'] as { default_tablespace: string }).default_tablespace,
  }));
}

/**
 * The definition behind the table's name, as the server writes it: asked of the server itself, which makes the index of
 * the partitioned table alone and forgets it again. Fails as the real one would.
 */
async function canonicalTail(client: pg.Client, root: Root): Promise<string> {
  await client.query('begin');
  try {
    await asOwnerOf(client, root.tableOid, 'create', () => client.query(alone(root.statement, root.table)));
    const { rows } = await client.query<{ tail: string }>(
      `select pg_catalog.substr(pg_catalog.pg_get_indexdef(x.indexrelid), pg_catalog.length(pg_catalog.format(
           'CREATE %sINDEX %I ON ONLY %I.%I ', case when x.indisunique then 'UNIQUE ' else '' end, c.relname, n.nspname,
           t.relname)) + 1) as tail
       from pg_catalog.pg_index as x
       join pg_catalog.pg_class as c on c.oid = x.indexrelid
       join pg_catalog.pg_class as t on t.oid = x.indrelid
       join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
       where x.indexrelid = $1::pg_catalog.regclass`,
      [root.quoted],
    );
    return rows[0]?.tail ?? '';
  } finally {
    await client.query('rollback');
  }
}

/** A table below the root, and the index that it is to have: an equal one of its own, or one with a name that is the same each time. */
interface Partition {
  schema: string;
  index: string;
  quoted: string;
  table: string;
  table_oid: number;
  partitioned: boolean;
  parent: string;
  statement: string;
  taken: boolean;
}

const partitionsQuery = `
  select n.nspname as schema, coalesce(e.name, m.name) as index,
    pg_catalog.format('%I.%I', n.nspname, coalesce(e.name, m.name)) as quoted,
    pg_catalog.format('%I.%I', n.nspname, c.relname) as "table", c.oid::int8::float8 as table_oid,
    c.relkind = 'p' as partitioned, pg_catalog.format('%I.%I', pn.nspname, p.relname) as parent,
    pg_catalog.format('CREATE %sINDEX CONCURRENTLY %I ON %s%I.%I %s', u.word, m.name,
      case c.relkind when 'p' then 'ONLY ' else '' end, n.nspname, c.relname, $3::text) as statement,
    e.name is not null as taken
  from pg_catalog.pg_partition_tree($1::oid::regclass) as t
  -- Foreign tables have no indexes here.
  join pg_catalog.pg_class as c on c.oid = t.relid and c.relkind in ('r', 'p')
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join pg_catalog.pg_class as p on p.oid = t.parentrelid
  join pg_catalog.pg_namespace as pn on pn.oid = p.relnamespace
  cross join (values (case when $4::boolean then 'UNIQUE ' else '' end)) as u (word)
  -- Ten characters are at most 40 bytes, and the rest is 15 more: never cut at 63.
  cross join lateral (values ('maint_' || pg_catalog.left(c.relname, 10) || '_'
    || pg_catalog.left(pg_catalog.md5($2 || n.nspname || '.' || c.relname), 8))) as m (name)
  left join lateral (
    select xc.relname as name
    from pg_catalog.pg_index as x
    join pg_catalog.pg_class as xc on xc.oid = x.indexrelid
    where c.relkind = 'r' and x.indrelid = c.oid and x.indisvalid and not xc.relispartition and xc.relname <> m.name
      and not exists (select from pg_catalog.pg_constraint as k where k.conindid = x.indexrelid)
      and pg_catalog.pg_get_indexdef(x.indexrelid)
        = pg_catalog.format('CREATE %sINDEX %I ON %I.%I %s', u.word, xc.relname, n.nspname, c.relname, $3::text)
    order by xc.oid
    limit 1) as e on true
  where t.level > 0
  order by t.level, n.nspname, c.relname`;

export interface Root {
  tableOid: number;
  /** Of the table and of the index. */
  table: string;
  quoted: string;
  /** `create index concurrently NAME on TABLE …`, as an action has it. */
  statement: string;
  tablespace: string;
}

/**
 * What is to be made below the root, from the top; partitions that were there when it was dropped get back their own. Where
 * a name is taken by something else: who has it, in words.
 */
export async function planTree(
  client: pg.Client,
  root: Root,
  remembered: readonly RememberedNode[],
): Promise<TreeNode[] | string> {
  const tail = await canonicalTail(client, root);
  const unique = /^create unique /i.test(root.statement);
  const { rows } = await client.query<Partition>(partitionsQuery, [root.tableOid, root.quoted, tail, unique]);
  const nodes = rows.map((each): TreeNode => {
    const known = remembered.find(({ table }) => table === each.table);
    if (!known) return { ...each, afterwards: [], tablespace: root.tablespace };
    const { schema, index, quoted, tablespace } = known;
    const [statement = '', ...afterwards] = known.statements;
    return { ...each, schema, index, quoted, statement, afterwards, tablespace, taken: false };
  });
  for (const node of nodes) {
    if (node.taken) continue;
    const there = await whoHas(client, node);
    if (there === null) continue;
    // Somebody was quicker: what is not ours must not be taken back with ours.
    if (!there.equal) return `${node.quoted} exists already`;
    node.taken = true;
  }
  return nodes;
}

/** What bears a node's name; `equal` where it may be attached in its place. Null where the name is free. */
async function whoHas(client: pg.ClientBase, node: TreeNode): Promise<{ equal: boolean } | null> {
  const { rows } = await client.query<{ equal: boolean }>(
    `select coalesce(x.indisvalid and not c.relispartition and c.relkind = 'i' and x.indrelid = $3::oid
         and pg_catalog.pg_get_indexdef(c.oid) = $4, false) as equal
     from pg_catalog.pg_class as c
     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     left join pg_catalog.pg_index as x on x.indexrelid = c.oid
     where n.nspname = $1 and c.relname = $2`,
    [node.schema, node.index, node.table_oid, node.statement.replace(/INDEX CONCURRENTLY /, 'INDEX ')],
  );
  return rows[0] ?? null;
}

/** The statement for a partitioned table alone, which can't be built concurrently, and has nothing to be built. */
function alone(statement: string, table: string): string {
  const plain = statement.replace(/^(create (?:unique )?index) concurrently /i, '$1 ');
  // The action's own statement may leave ONLY out: that is where the table's name stands first.
  return plain.includes(` ON ONLY ${table} `)
    ? plain
    : plain.replace(` on ${table} `, () => ` on only ${table} `);
}

/**
 * The statement for a partitioned table and all below it: it takes the equal indexes that the partitions have by then. Over a
 * foreign partition, which can have none, only this gives a valid index; one made ON ONLY never becomes valid.
 */
function whole(statement: string, table: string): string {
  const only = alone(statement, table);
  // Where the table's name stands: a name may have the same words in it.
  return only
    .replace(` ON ONLY ${table} `, () => ` ON ${table} `)
    .replace(` on only ${table} `, () => ` on ${table} `);
}

async function hasForeignPartition(client: pg.ClientBase, tableOid: number): Promise<boolean> {
  const { rows } = await client.query(
    `select from pg_catalog.pg_partition_tree($1::oid::regclass) as t
     join pg_catalog.pg_class as c on c.oid = t.relid and c.relkind = 'f' limit 1`,
    [tableOid],
  );
  return rows.length > 0;
}

async function setTablespace(client: pg.ClientBase, name: string): Promise<void> {
  await client.query(`select pg_catalog.set_config('default_tablespace', $1, false)`, [name]);
}

/**
 * Builds what the nodes say, then the root, and attaches all. `quickMs` is how long a lock may be waited for in the
 * transaction at the end; throws HeldUp, or the server's error.
 */
export async function buildTree(
  client: pg.Client,
  root: Root,
  rootAfterwards: readonly string[],
  nodes: readonly TreeNode[],
  quickMs: number,
): Promise<void> {
  for (const node of nodes.filter(({ partitioned, taken }) => !partitioned && !taken)) {
    await setTablespace(client, node.tablespace);
    await asOwnerOf(client, node.table_oid, 'create', async () => {
      await client.query(node.statement);
      for (const statement of node.afterwards) await client.query(statement);
    });
  }
  const tables = new Map([
    [root.table, { index: root.quoted, oid: root.tableOid }],
    ...nodes.map(({ table, quoted, table_oid }) => [table, { index: quoted, oid: table_oid }] as const),
  ]);
  const foreign = await hasForeignPartition(client, root.tableOid);
  const began = performance.now();
  await inTransaction(client, async () => {
    await client.query(`set local lock_timeout = ${quickMs}`);
    const quickly = async (tableOid: number, statement: string): Promise<void> => {
      // Each lock is kept to the end: all of them together may not take longer than one.
      if (performance.now() - began > quickMs)
        throw new HeldUp('the locks that attach the partitions take too long');
      await asOwnerOf(client, tableOid, 'own', () => client.query(statement));
    };
    const make = foreign ? whole : alone;
    const makeRoot = async (): Promise<void> => {
      await setTablespace(client, root.tablespace);
      await quickly(root.tableOid, make(root.statement, root.table));
    };
    const partitioned = nodes.filter((node) => node.partitioned);
    if (!foreign) await makeRoot();
    // What takes the indexes below it comes after them.
    for (const node of foreign ? [...partitioned].reverse() : partitioned) {
      await setTablespace(client, node.tablespace);
      await quickly(node.table_oid, make(node.statement, node.table));
    }
    if (foreign) await makeRoot();
    // From the leaves upward: what is attached is complete then.
    for (const { parent, quoted } of foreign ? [] : [...nodes].reverse()) {
      const above = tables.get(parent);
      if (above === undefined) throw new Error(`${parent} is not in the tree`);
      await quickly(above.oid, `alter index ${above.index} attach partition ${quoted}`);
    }
    for (const { afterwards, table_oid } of partitioned)
      for (const statement of afterwards) await quickly(table_oid, statement);
    for (const statement of rootAfterwards) await quickly(root.tableOid, statement);
  });
}

/** What an attempt has built and could not attach. Returns the names of what it removed. */
export async function removeUnattached(
  client: pg.Client,
  nodes: readonly Pick<TreeNode, 'schema' | 'index' | 'table_oid' | 'partitioned' | 'taken'>[],
): Promise<string[]> {
  const removed: string[] = [];
  for (const { schema, index, table_oid, partitioned, taken } of nodes) {
    if (partitioned || taken) continue;
    const left = await indexByName(client, schema, index);
    if (left?.table_oid === table_oid && !left.attached) removed.push(await dropLeftover(client, left));
  }
  return removed;
}

/** As it is kept with the intent of an action. */
export function asJson(nodes: readonly TreeNode[]): Json {
  return nodes.map((node): JsonObject => ({ ...node }));
}
