/** The action that is cut off: what it begins with, what it must come to, and whether it has. */
import type pg from 'pg';
import { actionKey } from '../../src/steps/step.ts';
import type { Action, JsonObject } from '../../src/steps/step.ts';

export const kinds = ['drop_index', 'reindex_index', 'create_index'] as const;
export type Kind = (typeof kinds)[number];

/** As pg-maint names it, so that what a statement in the log is about can be told. */
const definition = 'create index %concurrently% by_note on chaos.ledger using btree (note, v)';
const plain = definition.replace(' %concurrently%', '');
const concurrent = definition.replace('%', '').replace('%', '');

/** How the server counts the statement that does it, see pg_stat_statements. */
const statements: Record<Kind, string> = {
  drop_index: '^drop index concurrently',
  reindex_index: '^reindex index concurrently',
  create_index: '^create index concurrently',
};

export interface Subject {
  actionId: number;
  kind: Kind;
  /** Of the index before; null for one that is to be made. */
  oid: number | null;
}

async function indexOid(client: pg.ClientBase): Promise<number | null> {
  const { rows } = await client.query<{ oid: number | null }>(
    `select pg_catalog.to_regclass('chaos.by_note')::oid::int8::float8 as oid`,
  );
  return rows[0]!.oid;
}

/** Brings the index into the state that the action begins with, and queues the action. */
export async function queue(client: pg.ClientBase, kind: Kind): Promise<Subject> {
  if (kind === 'create_index') await client.query('drop index if exists chaos.by_note');
  else if ((await indexOid(client)) === null) await client.query(plain);
  const oid = await indexOid(client);
  const { rows: tables } = await client.query<{ oid: number }>(
    `select 'chaos.ledger'::regclass::oid::int8::float8 as oid`,
  );
  const target: JsonObject = {
    schema: 'chaos',
    table: 'ledger',
    index: 'by_note',
    oid: oid ?? tables[0]!.oid,
  };
  if (kind === 'create_index') target['statement'] = concurrent;
  const key = actionKey({ kind, target } as unknown as Action);
  await client.query('begin');
  const { rows } = await client.query<{ id: number }>(
    `insert into maint.action (action_key, run_id, requested_run_id, step_number, kind, target, reason, queued_at)
     values ($1, 0, 0, 10, $2, $3::jsonb, 'chaos', clock_timestamp())
     returning action_id::float8 as id`,
    [key, kind, JSON.stringify(target)],
  );
  await client.query('select maint.enqueue_action($1)', [rows[0]!.id]);
  await client.query('commit');
  return { actionId: rows[0]!.id, kind, oid };
}

/** Whether the catalog shows the action's end, whatever its row says. */
export async function isDone(client: pg.ClientBase, { kind, oid }: Subject): Promise<boolean> {
  const { rows } = await client.query<{ oid: number; valid: boolean }>(
    `select x.indexrelid::int8::float8 as oid, x.indisvalid and x.indisready and x.indislive as valid
     from pg_catalog.pg_index as x where x.indexrelid = coalesce($1::oid, pg_catalog.to_regclass('chaos.by_note'))`,
    // By oid, as an index that is being dropped has another name.
    [kind === 'drop_index' ? oid : null],
  );
  const [index] = rows;
  if (kind === 'drop_index') return index === undefined;
  return index?.valid === true && index.oid !== oid;
}

/** How often the server has come to the end of the action's statement since its start or `forgetStatements`. */
export async function statementsDone(client: pg.ClientBase, { kind }: Subject): Promise<number> {
  const { rows } = await client.query<{ calls: number }>(
    `select coalesce(sum(s.calls), 0)::int as calls from public.pg_stat_statements as s
     where s.query ~* $1 and s.dbid = (select oid from pg_database where datname = current_database())`,
    [statements[kind]],
  );
  return rows[0]!.calls;
}

export async function forgetStatements(client: pg.ClientBase): Promise<void> {
  await client.query('select public.pg_stat_statements_reset()');
}

/** The session that acts: it has claimed the action. Null while there is none. */
export async function actingSession(client: pg.ClientBase, { actionId }: Subject): Promise<number | null> {
  const { rows } = await client.query<{ pid: number }>(
    `select a.session_pid as pid from maint.action as a
     where a.action_id = $1 and a.status = 'running' and maint.session_alive(a.session_pid, a.session_started)`,
    [actionId],
  );
  return rows[0]?.pid ?? null;
}
