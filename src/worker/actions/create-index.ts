/**
 * Builds an index without holding up writers. Where it brings back one that was dropped, the evidence has the settings
 * to build it with and what was set on it afterwards.
 */
import type pg from 'pg';
import type { JsonObject } from '../../steps/step.ts';
import { asOwnerOf } from '../act-as.ts';
import { workerConfig } from '../worker-config.ts';
import { defineAction, RefusedUnderLock } from './action.ts';
import type { ActionRow, Plan, Refusal } from './action.ts';
import { recheck } from './recheck.ts';
import { dropLeftover, indexByName, workOn } from './index-state.ts';
import type { IndexState } from './index-state.ts';
import { asJson, buildTree, planTree, removeUnattached } from './index-tree.ts';
import type { RememberedNode, Root, TreeNode } from './index-tree.ts';

interface Again {
  /** Brings back an index that was dropped. */
  again: boolean;
  tablespace: string | null;
  afterwards: string[];
  /** What the index was besides what the statements say; null where the drop did not record it. */
  facts: JsonObject | null;
}

/** What an inverse says beside the statement; empty for an index that was never there. */
function againOf(evidence: JsonObject): Again {
  const settings = evidence['settings'] as { default_tablespace?: string } | undefined;
  return {
    again: settings !== undefined,
    tablespace: settings?.default_tablespace ?? null,
    facts: (evidence['facts'] as JsonObject | undefined) ?? null,
    afterwards: (evidence['afterwards'] as string[] | undefined) ?? [],
  };
}

/** Where an index that was brought back differs from what it was: what was, and what is. Empty where it is the same. */
function differences(built: IndexState, statement: string, { afterwards, facts }: Again): string[] {
  const statements = built.inverse['statements'] as string[];
  const found: string[] = [];
  if (statements[0] !== statement) found.push(`it was ${statement}, and is ${statements[0] ?? ''}`);
  for (const each of afterwards) if (!statements.includes(each)) found.push(`not done: ${each}`);
  for (const each of statements.slice(1)) if (!afterwards.includes(each)) found.push(`set besides: ${each}`);
  const now = built.inverse['facts'] as JsonObject;
  for (const [name, was] of Object.entries(facts ?? {}))
    if (JSON.stringify(was) !== JSON.stringify(now[name]))
      found.push(`${name}: was ${JSON.stringify(was)}, is ${JSON.stringify(now[name])}`);
  return found;
}

function nodesOf({ intent }: Plan): TreeNode[] | null {
  return (intent['tree'] as unknown as TreeNode[] | undefined) ?? null;
}

/** On a partitioned table: see index-tree.ts. */
async function planOfTree(
  client: pg.Client,
  { target, evidence }: ActionRow<'create_index'>,
  { quoted, quoted_index }: TableState,
  { tablespace, afterwards }: Again,
): Promise<Plan | Refusal> {
  const root: Root = {
    tableOid: target.oid,
    table: quoted,
    quoted: quoted_index,
    statement: target.statement,
    tablespace: tablespace ?? '',
  };
  const nodes = await planTree(
    client,
    root,
    (evidence['tree'] as unknown as RememberedNode[] | undefined) ?? [],
  );
  if (typeof nodes === 'string') return { ok: false, outcome: 'expired', reason: nodes };
  const builds = nodes.filter(({ partitioned, taken }) => !partitioned && !taken);
  return {
    ok: true,
    statement: [...builds.map(({ statement }) => statement), target.statement, ...afterwards].join(';\n'),
    inverse: { settings: {}, statements: [`drop index ${quoted_index}`] },
    sizeBefore: null,
    on: { tableOid: target.oid, need: 'create' },
    waitsOn: { tableOid: target.oid, lockers: 'writers', snapshots: true },
    lockTimeout: 'build_lock_timeout',
    intent: { quoted_index, root: { ...root }, tree: asJson(nodes) },
  };
}

interface TableState {
  quoted: string;
  kind: string;
  quoted_index: string;
  name_taken: boolean;
}

async function tableState(
  client: pg.ClientBase,
  target: { oid: number; schema: string; table: string; index: string },
): Promise<TableState | null> {
  const { rows } = await client.query<TableState>(
    `select pg_catalog.format('%I.%I', n.nspname, c.relname) as quoted, c.relkind as kind,
       pg_catalog.format('%I.%I', n.nspname, $4::text) as quoted_index,
       exists (select from pg_catalog.pg_class as i where i.relnamespace = n.oid and i.relname = $4) as name_taken
     from pg_catalog.pg_class as c
     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     where c.oid = $1 and n.nspname = $2 and c.relname = $3`,
    [target.oid, target.schema, target.table, target.index],
  );
  return rows[0] ?? null;
}

/** The statement named a table that another one may have replaced by then: what was built there by it is removed. */
async function refuseOtherTable(
  client: pg.Client,
  target: ActionRow<'create_index'>['target'],
): Promise<void> {
  const built = await indexByName(client, target.schema, target.index);
  if (built === null || built.table_oid === target.oid) return;
  await dropLeftover(client, built);
  throw new RefusedUnderLock({
    ok: false,
    outcome: 'expired',
    reason: `another table is called ${built.quoted_table} now: the index that was built on it is removed`,
  });
}

/** An index for a foreign key that is not there any more, or is another one under its name: why it is not wanted. Else null. */
async function foreignKeyGone(
  client: pg.ClientBase,
  { finding_id, target }: ActionRow<'create_index'>,
): Promise<string | null> {
  const { rows } = await client.query<{ constraint: string }>(
    `select pg_catalog.quote_ident(f.object_name) as constraint
     from maint.finding as f
     where f.finding_id = $1 and f.kind = 'fk.unindexed' and not exists (
       select from pg_catalog.pg_constraint as k
       where k.conrelid = $2::oid and k.conname = f.object_name and k.contype = 'f'
         and (select pg_catalog.jsonb_agg(a.attname order by c.place)
              from pg_catalog.unnest(k.conkey) with ordinality as c (attnum, place)
              join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = c.attnum)
           operator(pg_catalog.@>) (f.detail -> 'columns'))`,
    [finding_id, target.oid],
  );
  const [gone] = rows;
  return gone === undefined ? null : `the foreign key ${gone.constraint} is gone, or is another one now`;
}

/**
 * Bringing back an index calls the functions in it as the table's owner, who may be another than when it was dropped. Why it
 * must not be: the owner is a superuser and a function is not. Else null.
 */
async function foreignCode(
  client: pg.ClientBase,
  tableOid: number,
  facts: JsonObject | null,
): Promise<string | null> {
  const { rows } = await client.query<{ reason: string }>(
    `select pg_catalog.format('%s of %I, in the index, would run with the rights of superuser %I, who owns the table now',
       p.oid::pg_catalog.regprocedure, f.rolname, o.rolname) as reason
     from pg_catalog.pg_class as c
     join pg_catalog.pg_roles as o on o.oid = c.relowner and o.rolsuper
     cross join pg_catalog.jsonb_array_elements_text($2) as w (oid)
     join pg_catalog.pg_proc as p on p.oid::int8 = w.oid::int8
     join pg_catalog.pg_roles as f on f.oid = p.proowner and not f.rolsuper
     where c.oid = $1::oid
     union all
     select pg_catalog.format('a function in the index is gone, and superuser %I owns the table', o.rolname)
     from pg_catalog.pg_class as c
     join pg_catalog.pg_roles as o on o.oid = c.relowner and o.rolsuper
     cross join pg_catalog.jsonb_array_elements_text($2) as w (oid)
     where c.oid = $1::oid and not exists (select from pg_catalog.pg_proc as p where p.oid::int8 = w.oid::int8)
     order by reason limit 1`,
    [tableOid, JSON.stringify(facts?.['functions'] ?? [])],
  );
  return rows[0]?.reason ?? null;
}

/** The server refuses a second statement beside it: CONCURRENTLY runs alone. */
const concurrentBuild = /^create (unique )?index concurrently /i;

export default defineAction({
  kind: 'create_index',

  async prepare(client, action) {
    const { target } = action;
    if (!concurrentBuild.test(target.statement))
      return { ok: false, outcome: 'skipped', reason: 'the statement is not one that builds concurrently' };
    const table = await tableState(client, target);
    if (table === null)
      return { ok: false, outcome: 'expired', reason: 'the table is gone or has another name now' };
    if (table.kind !== 'r' && table.kind !== 'm' && table.kind !== 'p')
      return { ok: false, outcome: 'skipped', reason: `${table.quoted} can't be indexed concurrently` };
    const key = await foreignKeyGone(client, action);
    if (key !== null) return { ok: false, outcome: 'expired', reason: key };
    const work = await workOn(client, [target.oid]);
    if (work !== null) return { ok: false, outcome: 'later', reason: work };
    const unwanted = await recheck(client, action, null);
    if (unwanted !== null) return unwanted;
    const again = againOf(action.evidence);
    const code = await foreignCode(client, target.oid, again.facts);
    if (code !== null) return { ok: false, outcome: 'skipped', reason: code };
    const there = await indexByName(client, target.schema, target.index);
    // Built by an attempt that did not come to the rest.
    const built =
      again.afterwards.length > 0 &&
      there?.valid === true &&
      there.table_oid === target.oid &&
      (there.inverse['statements'] as string[])[0] === target.statement;
    if (table.name_taken && !built)
      return { ok: false, outcome: 'expired', reason: `${table.quoted_index} exists already` };
    if (table.kind === 'p') return await planOfTree(client, action, table, again);
    return {
      ok: true,
      statement: [...(built ? [] : [target.statement]), ...again.afterwards].join(';\n'),
      inverse: { settings: {}, statements: [`drop index concurrently ${table.quoted_index}`] },
      sizeBefore: null,
      on: { tableOid: target.oid, need: 'create' },
      waitsOn: { tableOid: target.oid, lockers: 'writers', snapshots: true },
      lockTimeout: 'build_lock_timeout',
      intent: { quoted_index: table.quoted_index, built },
    };
  },

  async act(client, { target, evidence }, plan) {
    const { tablespace, afterwards } = againOf(evidence);
    const nodes = nodesOf(plan);
    if (nodes !== null) {
      const { lock_timeout } = await workerConfig(client);
      await buildTree(client, plan.intent['root'] as unknown as Root, afterwards, nodes, lock_timeout);
      return;
    }
    if (plan.intent['built'] !== true) {
      if (tablespace !== null)
        await client.query(`select pg_catalog.set_config('default_tablespace', $1, false)`, [tablespace]);
      await asOwnerOf(client, target.oid, 'create', () => client.query(target.statement));
      await refuseOtherTable(client, target);
    }
    if (afterwards.length === 0) return;
    // Some of these lock the table: not for as long as a build may wait.
    const { lock_timeout } = await workerConfig(client);
    await client.query(`set lock_timeout = ${lock_timeout}`);
    await asOwnerOf(client, target.oid, 'own', async () => {
      for (const statement of afterwards) await client.query(statement);
    });
  },

  async verify(client, { target, evidence }) {
    const built = await indexByName(client, target.schema, target.index);
    if (built?.table_oid !== target.oid)
      return { ok: false, sizeAfter: null, reason: 'the index does not exist' };
    const again = againOf(evidence);
    if (!built.valid || !built.ready)
      return { ok: false, sizeAfter: built.size_bytes, reason: `${built.quoted} is invalid` };
    const differs = again.again ? differences(built, target.statement, again) : [];
    return differs.length === 0
      ? { ok: true, sizeAfter: built.size_bytes, reason: 'built', builtOid: built.oid }
      : {
          ok: false,
          sizeAfter: built.size_bytes,
          reason: `${built.quoted} is not as it was: ${differs.join('; ')}`,
        };
  },

  // Its name was free when the statement began, so an invalid index of that name is what it left.
  async cleanUp(client, { target }, plan) {
    const nodes = nodesOf(plan);
    // The root comes with all that is attached to it, or not at all.
    if (nodes !== null) return await removeUnattached(client, nodes);
    const left = await indexByName(client, target.schema, target.index);
    if (left?.table_oid !== target.oid || left.valid) return [];
    return [await dropLeftover(client, left)];
  },
});
