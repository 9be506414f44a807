/**
 * A session in which statements are planned as one role, and in which nothing else is ever done: it is closed after the
 * role's last one, as what code of the role has left in it (locks, prepared statements) goes with it.
 */
import { shortened } from '../../core/text.ts';
import pg from 'pg';
import { connect, inTransaction, queryRow, settleSession } from '../connection.ts';
import { underHardLimit, limitMark } from '../hard-limit.ts';
import { endSession } from '../session.ts';
import type { Onlooker } from '../table-queue.ts';
import type { PlannedRole } from './planned-role.ts';
import { makePlanner } from './planner-function.ts';
import { whyNotTrusted } from './trusted-names.ts';

export interface PlanningContext {
  url: string | undefined;
  onlooker: Onlooker;
  signal: AbortSignal;
}

/** Planning one statement takes no longer, where nothing in it catches the cancel. */
const planTimeoutMs = 5000;
/** Ends the session. Above planTimeoutMs, so that a statement that is only large costs no session. */
const hardLimitSeconds = 8;
/** Sent by the server for one statement, in bytes: more than a plan and its messages have. Code of the role may send notices without end. */
const mostReceived = 16_000_000;

/** Of pg_temp.explain_generic, which is made from the names of planner-function.ts. */
export interface PlanAnswer {
  plan: string | null;
  own_plan: null;
  sqlstate: string | null;
  message: string | null;
  work_mem: number;
}

/** An index that does not exist, to be tried. */
export interface HypotheticalIndex {
  schema: string;
  table: string;
  columns: string[];
}

const purpose = { purpose: 'plans statements', seconds: hardLimitSeconds };
const mark = limitMark(purpose);

/**
 * Of the session. Statements of a role are planned by the settings of the server, so that plans can be compared, and wait
 * for no lock that an ALTER TABLE holds. maint.planning: no maint.query_risk that planning itself calls plans anything.
 */
const settings = {
  statement_timeout: String(planTimeoutMs),
  lock_timeout: '200',
  plan_cache_mode: 'force_generic_plan',
  standard_conforming_strings: 'on',
  // The role's policies are part of its plans.
  row_security: 'on',
  'maint.planning': 'on',
} as const;

const settle = Object.entries(settings)
  .map(([name, value]) => `pg_catalog.set_config('${name}', '${value}', false)`)
  .join(', ');

const hypopgFunctions = ['hypopg_create_index(text)', 'hypopg_reset()'];

/**
 * The schema of hypopg's own functions, quoted; null where one is missing. The login role of a worker calls them: if it is a
 * superuser, their rows stay locked until the transaction ends, so that the owner of the schema cannot drop them and put
 * others in their place. Any other role may not lock a row of the catalog.
 */
export async function hypopgSchema(client: pg.ClientBase): Promise<string | null> {
  const names = hypopgFunctions.map((name) => name.replace(/\(.*/, ''));
  const { superuser } = await queryRow<{ superuser: boolean }>(
    client,
    `select pg_catalog.current_setting('is_superuser')::bool as superuser`,
  );
  if (superuser)
    await client.query(
      'select from pg_catalog.pg_proc as p where p.proname = any ($1::pg_catalog.text[]) order by p.oid for key share',
      [names],
    );
  const { schema } = await queryRow<{ schema: string | null }>(
    client,
    `select case when pg_catalog.count(*) = pg_catalog.cardinality($1::pg_catalog.text[])
         and pg_catalog.count(distinct p.pronamespace) = 1 then pg_catalog.min(pg_catalog.quote_ident(n.nspname)) end as schema
     from pg_catalog.pg_extension as e
     join pg_catalog.pg_depend as d on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
       and d.refobjid = e.oid and d.deptype = 'e' and d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
     join pg_catalog.pg_proc as p on p.oid = d.objid
     join pg_catalog.pg_roles as r on r.oid = p.proowner and r.rolsuper
     join pg_catalog.pg_language as l on l.oid = p.prolang and l.lanname = 'c'
     join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
     where e.extname = 'hypopg'
       and p.proname || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')' = any ($1::pg_catalog.text[])`,
    [hypopgFunctions],
  );
  return schema;
}

export class PlanningSession {
  readonly #client: pg.Client;
  readonly #role: PlannedRole;
  readonly #context: PlanningContext;
  #received = 0;
  #hypothetical: string | null = null;

  private constructor(client: pg.Client, role: PlannedRole, context: PlanningContext) {
    this.#client = client;
    this.#role = role;
    this.#context = context;
    const { stream } = client.connection;
    stream.on('data', (part: Buffer) => {
      this.#received += part.length;
      if (this.#received > mostReceived) stream.destroy();
    });
  }

  static async open(role: PlannedRole, context: PlanningContext): Promise<PlanningSession> {
    const client = await connect(context.url);
    try {
      await settleSession(client);
      await client.query(`set role none`);
      await client.query(`select ${settle}`);
      await inTransaction(client, () => makePlanner(client, role));
      return new PlanningSession(client, role, context);
    } catch (error) {
      await endSession({ client, pid: 0 });
      throw error;
    }
  }

  /** Plans one statement, with the hypothetical index that is there. The arguments are those of maint.explain_generic. */
  async ask(statement: string, parameters: number, asNull: string): Promise<PlanAnswer> {
    return await this.#limited(async () => {
      // Never committed: what code of the role has left for the end of the transaction (a cursor to hold, for one) would
      // run with the worker's rights then.
      await this.#client.query('begin isolation level read committed');
      try {
        const reason = this.#role.privileged ? await this.#whyNotTrusted(statement) : null;
        if (reason !== null)
          return { plan: null, own_plan: null, sqlstate: null, message: reason, work_mem: 0 };
        await this.#client.query('set transaction read only');
        const { answer } = await queryRow<{ answer: PlanAnswer }>(
          this.#client,
          `${mark}select pg_temp.explain_generic($1::pg_catalog.text, $2::pg_catalog.int4, $3::pg_catalog.text, null) as answer`,
          [statement, parameters, asNull],
        );
        return answer;
      } finally {
        await this.#client.query('rollback');
      }
    });
  }

  /** The function that it makes goes before the plan is made. */
  async #whyNotTrusted(statement: string): Promise<string | null> {
    await this.#client.query('savepoint names');
    try {
      await this.#client.query(`select pg_catalog.set_config('search_path', $1, true)`, [
        this.#role.search_path,
      ]);
      return await whyNotTrusted(this.#client, this.#role, statement);
    } catch (error) {
      if (error instanceof pg.DatabaseError) return shortened(error.message, 500);
      throw error;
    } finally {
      await this.#client.query('rollback to savepoint names');
    }
  }

  /**
   * Makes this the only hypothetical index of the session, or none. Returns its name in plans; throws where hypopg is not
   * installed. Its columns are plain ones, so that nothing of a user is called.
   */
  async tryIndex(index: HypotheticalIndex | null): Promise<string | null> {
    if (index === null && this.#hypothetical === null) return null;
    return await this.#limited(async () => {
      // What hypopg keeps outlives the rollback; nothing of the role is ever committed in this session.
      await this.#client.query('begin isolation level read committed');
      try {
        return await this.#replaceIndex(index);
      } finally {
        await this.#client.query('rollback');
      }
    });
  }

  async #replaceIndex(index: HypotheticalIndex | null): Promise<string | null> {
    const schema = await hypopgSchema(this.#client);
    if (schema === null) throw new Error('hypopg is not installed in this database');
    await this.#client.query(`select pg_catalog.count(*) from ${schema}.hypopg_reset() as r`);
    this.#hypothetical = null;
    if (index === null) return null;
    const { statement } = await queryRow<{ statement: string }>(
      this.#client,
      `select pg_catalog.format('create index on %I.%I (%s)', $1::pg_catalog.text, $2::pg_catalog.text, (
         select pg_catalog.string_agg(pg_catalog.quote_ident(c.name), ', ' order by c.position)
         from pg_catalog.json_array_elements_text($3) with ordinality as c (name, position))) as statement`,
      [index.schema, index.table, JSON.stringify(index.columns)],
    );
    const { name } = await queryRow<{ name: string }>(
      this.#client,
      `${mark}select h.indexname as name from ${schema}.hypopg_create_index($1::pg_catalog.text) as h`,
      [statement],
    );
    this.#hypothetical = name;
    return name;
  }

  async #limited<Value>(work: () => Promise<Value>): Promise<Value> {
    this.#received = 0;
    try {
      return await underHardLimit(this.#client, { ...purpose, ...this.#context }, work);
    } catch (error) {
      if (this.#received <= mostReceived) throw error;
      throw new Error(`planning sent messages without end, more than ${mostReceived} bytes`, {
        cause: error,
      });
    }
  }

  /** Whether it can plan another statement after an error. */
  get usable(): boolean {
    return !this.#client.connection.stream.destroyed && this.#client.connection.stream.writable;
  }

  async close(): Promise<void> {
    await endSession({ client: this.#client, pid: 0 });
  }
}
