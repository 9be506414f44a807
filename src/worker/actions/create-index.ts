/** Builds an index without holding up writers. */
import type pg from 'pg';
import { defineAction } from './action.ts';
import { dropLeftover, indexByName } from './index-state.ts';

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
    if (table.kind !== 'r' && table.kind !== 'm')
      return { ok: false, outcome: 'skipped', reason: `${table.quoted} can't be indexed concurrently` };
    if (table.name_taken)
      return { ok: false, outcome: 'expired', reason: `${table.quoted_index} exists already` };
    return {
      ok: true,
      statement: target.statement,
      inverse: { settings: {}, statements: [`drop index concurrently ${table.quoted_index}`] },
      sizeBefore: null,
      waitsOn: { tableOid: target.oid, lockers: 'writers', snapshots: true },
      lockTimeout: 'build_lock_timeout',
      intent: { quoted_index: table.quoted_index },
    };
  },

  // An index that maint.undo brings back has settings that no definition names.
  async act(client, { evidence }, plan) {
    const settings = Object.entries((evidence['settings'] ?? {}) as Record<string, string>);
    for (const [name, value] of settings) {
      await client.query('select pg_catalog.set_config($1, $2, false)', [name, value]);
    }
    try {
      await client.query(plan.statement);
    } finally {
      for (const [name] of settings) await client.query(`reset ${name}`);
    }
  },

  async verify(client, { target, evidence }) {
    const built = await indexByName(client, target.schema, target.index);
    if (built?.table_oid === target.oid && built.valid && built.ready) {
      // Comment, marks and statistics targets. Here, as it is also asked after a crash, and they may be set twice.
      for (const statement of (evidence['afterwards'] ?? []) as string[]) await client.query(statement);
    }
    if (built?.table_oid !== target.oid)
      return { ok: false, sizeAfter: null, reason: 'the index does not exist' };
    return built.valid && built.ready
      ? { ok: true, sizeAfter: built.size_bytes, reason: 'built' }
      : { ok: false, sizeAfter: built.size_bytes, reason: `${built.quoted} is invalid` };
  },

  // Its name was free when the statement began, so an invalid index of that name is what it left.
  async cleanUp(client, { target }) {
    const left = await indexByName(client, target.schema, target.index);
    if (left?.table_oid !== target.oid || left.valid) return [];
    return [await dropLeftover(client, left)];
  },
});
