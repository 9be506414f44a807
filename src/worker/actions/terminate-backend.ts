/** Ends an idle session that holds an advisory lock: one of our own, or of an application that settings name. */
import type pg from 'pg';
import { matchesAny } from '../../steps/04-stale-advisory-locks.ts';
import { isOurs } from '../../catalog/sessions.ts';
import { asSessionRole } from '../act-as.ts';
import { queryRow } from '../connection.ts';
import { defineAction } from './action.ts';
import type { ActionRow } from './action.ts';

interface Probe {
  application: string;
  state: string | null;
  /** Holds an advisory lock of this database. */
  holds: boolean;
  patterns: string[];
  /** It has logged in as the role that this worker has: one that a worker left behind, if the name says so too. */
  same_login: boolean;
  /** The role that it has logged in as, where that is a superuser, whose sessions only superusers end. */
  superuser: string | null;
}

/** By process number and beginning: a new session may have got the number of the one meant. */
async function probe(
  client: pg.ClientBase,
  { target }: ActionRow<'terminate_backend'>,
): Promise<Probe | null> {
  const { row } = await queryRow<{ row: Probe | null }>(
    client,
    `select (
       select pg_catalog.jsonb_build_object('application', coalesce(a.application_name, ''), 'state', a.state,
         'holds', exists (
           select from pg_catalog.pg_locks as l where l.pid = a.pid and l.locktype = 'advisory' and l.granted),
         'patterns', maint.config('features.advisory_lock_cleanup.terminate_applications'),
         'same_login', a.usename is not distinct from session_user,
         'superuser', case when r.rolsuper and not me.rolsuper then r.rolname end)
       from pg_catalog.pg_stat_activity as a
       left join pg_catalog.pg_roles as r on r.oid = a.usesysid
       join pg_catalog.pg_roles as me on me.rolname = current_user
       where a.pid = $1::int and a.backend_start = $2::timestamptz and a.pid <> pg_catalog.pg_backend_pid()) as row`,
    [target.pid, target.backend_start],
  );
  return row;
}

function keptBecause({ application, state, holds, patterns }: Probe): string | null {
  if (!isOurs({ application }) && !matchesAny(patterns, application)) {
    return `its application is ${JSON.stringify(application)}, which no setting names`;
  }
  if (!holds) return 'it holds no advisory lock any more';
  if (state === null || !state.startsWith('idle')) return 'it is at work again';
  return null;
}

export const terminateBackend = defineAction({
  kind: 'terminate_backend',

  async prepare(client, action) {
    const found = await probe(client, action);
    if (!found) return { ok: false, outcome: 'expired', reason: 'the session has ended' };
    const kept = keptBecause(found);
    if (kept !== null) return { ok: false, outcome: 'expired', reason: kept };
    const left = isOurs(found) && found.same_login;
    if (!left && found.superuser !== null)
      return {
        ok: false,
        outcome: 'skipped',
        reason: `it is a session of ${found.superuser}, and only a superuser may end a superuser's`,
      };
    const { statement } = await queryRow<{ statement: string }>(
      client,
      // Tells the session by its beginning again, in the moment it ends it.
      `select pg_catalog.format('select pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity as a '
         'where a.pid = %s and a.backend_start = %L and a.state ~ ''^idle''',
         $1::int, $2::text) as statement`,
      [action.target.pid, action.target.backend_start],
    );
    return {
      ok: true,
      statement,
      inverse: null,
      sizeBefore: null,
      on: null,
      waitsOn: null,
      intent: { left },
    };
  },

  async act(client, _action, { statement, intent }) {
    if (intent['left'] === true) await asSessionRole(client, (same) => same.query(statement));
    else await client.query(statement);
  },

  async verify(client, action) {
    // A session ends a moment after it was told to.
    for (let attempt = 0; attempt <= 50; attempt += 1) {
      await client.query('select pg_catalog.pg_stat_clear_snapshot()');
      if (!(await probe(client, action))) {
        return { ok: true, sizeAfter: null, reason: 'the session has ended' };
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return { ok: false, sizeAfter: null, reason: 'the session lives on: it may have gone to work again' };
  },
});
