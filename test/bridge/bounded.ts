/** Runs bodies that may not end, and says what became of the session, the server and the memory. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { TestDatabase } from '../support/database.ts';
import { quote } from './language.ts';

/** How a statement is asked to end. */
export type Ending = 'statement_timeout' | 'pg_cancel_backend' | 'pg_terminate_backend';

export interface Outcome {
  /** `stuck`: neither an answer nor an error in time. */
  kind: 'answered' | 'failed' | 'session ended' | 'stuck';
  code: string | null;
  message: string;
  /** Private memory of the backend at its highest, in MB. */
  peakMb: number;
}

/** maint_v8.memory_limit of these sessions, in MB: small, so that a body reaches it soon. */
const limitMb = 64;
/** docs/install/bridge.md promises limit + 640 MB; a backend has some 30 MB of its own. */
export const allowedMb = limitMb + 640 + 30;

const timeoutMs = 300;
const killAfterMs = 500;
/** Far more than timeout and kill_after together, for a busy machine; endless bodies would take minutes or for ever. */
const stuckMs = 45_000;

function privateMb(pid: number): number {
  try {
    const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
    return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024;
  } catch {
    return 0; // The backend is gone.
  }
}

/** Sessions for bodies, one after the other; a session that ended is replaced. */
export class BoundedSessions {
  readonly #database: TestDatabase;
  readonly #bystander: pg.Client;
  readonly #started: string;
  #session: { client: pg.Client; pid: number } | null = null;

  private constructor(database: TestDatabase, bystander: pg.Client, started: string) {
    this.#database = database;
    this.#bystander = bystander;
    this.#started = started;
  }

  static async open(database: TestDatabase): Promise<BoundedSessions> {
    const bystander = await database.client();
    return new BoundedSessions(database, bystander, await startOf(bystander));
  }

  /** Throws unless the server is the one it was at the beginning and the bystander's session never broke. */
  async requireServer(): Promise<void> {
    const now = await startOf(this.#bystander);
    if (now !== this.#started) throw new Error(`the server was restarted at ${now}`);
  }

  async run(body: string, ending: Ending): Promise<Outcome> {
    const { client, pid } = await this.#ready();
    await client.query(
      `set statement_timeout = 0; create or replace function pg_temp.body() returns text language maint_v8 as ${quote(body)};
       set statement_timeout = ${ending === 'statement_timeout' ? timeoutMs : 0}`,
    );
    let peakMb = 0;
    const results: Outcome[] = [];
    const finished = client.query('select left(pg_temp.body(), 100)').then(
      () => results.push({ kind: 'answered', code: null, message: '', peakMb }),
      (error: unknown) => {
        const { code, message, severity } = error as pg.DatabaseError;
        const ended = code === undefined || severity === 'FATAL';
        results.push({ kind: ended ? 'session ended' : 'failed', code: code ?? null, message, peakMb });
      },
    );
    const started = performance.now();
    let asked = ending === 'statement_timeout';
    while (results.length === 0 && performance.now() - started < stuckMs) {
      if (!asked && performance.now() - started > timeoutMs) {
        asked = true;
        await this.#bystander.query(`select pg_catalog.${ending}($1)`, [pid]);
      }
      peakMb = Math.max(peakMb, privateMb(pid));
      await Promise.race([finished, sleep(10)]);
    }
    const outcome: Outcome = results[0] ?? { kind: 'stuck', code: null, message: '', peakMb };
    // One that was asked to end may do so after its answer.
    const over = outcome.kind === 'session ended' || outcome.kind === 'stuck';
    if (over || ending === 'pg_terminate_backend') await this.#discard();
    return { ...outcome, peakMb: Math.round(peakMb) };
  }

  async #discard(): Promise<void> {
    const client = this.#session?.client;
    this.#session = null;
    await client?.end().catch(() => undefined);
  }

  async #ready(): Promise<{ client: pg.Client; pid: number }> {
    if (this.#session !== null) return this.#session;
    const client = await this.#database.client();
    await client.query(
      `set maint_v8.kill_after = '${killAfterMs}ms'; set maint_v8.memory_limit = '${limitMb}MB'`,
    );
    const { rows } = await client.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid');
    this.#session = { client, pid: rows[0]?.pid ?? 0 };
    return this.#session;
  }
}

async function startOf(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ at: string }>(
    'select pg_catalog.pg_postmaster_start_time()::text as at',
  );
  return rows[0]?.at ?? '';
}

/** What is wrong with an outcome, or null: a session may end only by our own FATAL or by what it was asked. */
export function problemOf(outcome: Outcome, ending: Ending): string | null {
  if (outcome.kind === 'stuck') return `did not end in ${stuckMs} ms`;
  if (outcome.peakMb > allowedMb) return `took ${outcome.peakMb} MB`;
  if (outcome.kind !== 'session ended') return null;
  if (ending === 'pg_terminate_backend' && outcome.code === '57P01') return null;
  const ours = /did not stop within|uses too much memory|the JavaScript engine can't go on/;
  return ours.test(outcome.message) ? null : `session ended: ${outcome.code ?? ''} ${outcome.message}`;
}
