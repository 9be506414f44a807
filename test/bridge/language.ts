import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { createDatabase, type TestDatabase } from '../support/database.ts';

/** An argument of a function: its SQL type, and its value as a literal of SQL. */
export type Argument = [type: string, literal: string];

/** What the server said of an error. */
export interface Refusal {
  code: string | undefined;
  message: string;
  detail: string | undefined;
  hint: string | undefined;
  where: string | undefined;
  error: pg.DatabaseError;
}

/** One session that writes and calls functions in maint_v8. */
export class Session {
  readonly client: pg.Client;
  #made = 0;

  constructor(client: pg.Client) {
    this.client = client;
  }

  /** The value of the first column of the first row. */
  async value(sql: string): Promise<unknown> {
    const { rows } = await this.client.query<unknown[]>({ text: sql, rowMode: 'array' });
    return rows[0]?.[0];
  }

  /** Makes a function of this body and calls it; its arguments are a, b, c … */
  async call(body: string, returns = 'text', ...given: Argument[]): Promise<unknown> {
    return await this.value(await this.make(body, returns, ...given));
  }

  /** Makes a function of this body; returns the statement that calls it. */
  async make(body: string, returns = 'text', ...given: Argument[]): Promise<string> {
    this.#made += 1;
    const name = `f${this.#made}`;
    const names = given.map(([type], at) => `${'abcdefgh'.charAt(at)} ${type}`).join(', ');
    await this.client.query(
      `create function ${name}(${names}) returns ${returns} language maint_v8 as ${quote(body)}`,
    );
    return `select ${name}(${given.map(([type, literal]) => `(${literal})::${type}`).join(', ')})`;
  }

  /** The error of a statement that has to fail; then shows that the session goes on. */
  async refusal(sql: string): Promise<Refusal> {
    const refused = await refusalOf(this.client.query(sql));
    const { rows } = await this.client.query<{ one: number }>('select 1 as one');
    if (rows[0]?.one !== 1) throw new Error('the session does not go on');
    return refused;
  }

  async failing(body: string, returns = 'text', ...given: Argument[]): Promise<Refusal> {
    return await this.refusal(await this.make(body, returns, ...given));
  }

  async processId(): Promise<number> {
    return (await this.value('select pg_backend_pid()')) as number;
  }
}

export async function openSession(t: ExecutionContext): Promise<Session> {
  return (await openDatabase(t)).session;
}

export async function openDatabase(
  t: ExecutionContext,
): Promise<{ database: TestDatabase; session: Session }> {
  const database = await createDatabase(t);
  return { database, session: new Session(await database.client()) };
}

export async function refusalOf(statement: Promise<unknown>): Promise<Refusal> {
  let result: unknown;
  try {
    result = await statement;
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    const { code, message, detail, hint, where } = error;
    return { code, message, detail, hint, where, error };
  }
  throw new Error(`no error but ${JSON.stringify(result)}`);
}

export function quote(text: string): string {
  return pg.escapeLiteral(text);
}
