/** Which language runs the checks in the server. */
import type pg from 'pg';
import { queryRow } from './connection.ts';
import { CouldNotRun, sqlstateOf } from './errors.ts';
import type { Engine } from './install-script.ts';

type Language = Exclude<Engine, 'worker'>;

export interface EngineChoice {
  engine: Engine;
  /** The extension that had to be created for it. */
  created: string | null;
  /** Why a better engine was not taken. */
  notes: string[];
}

const languages: readonly Language[] = ['plv8', 'maint_v8'];

/** What CREATE EXTENSION may fail with because of the server's set-up; anything else is no reason to go on without. */
const unusable = /^(42501|0A000|55000|58|F0)/;

/**
 * Picks the engine: the forced one, or the first of plv8, maint_v8, worker that `owner` (null: who installs) can use.
 * In a transaction.
 */
export async function chooseEngine(
  client: pg.Client,
  forced: Engine | undefined,
  owner: string | null,
): Promise<EngineChoice> {
  const notes: string[] = [];
  if (forced === 'worker') return { engine: 'worker', created: null, notes };
  for (const language of forced === undefined ? languages : [forced]) {
    const { created, problem } = await provide(client, language, owner);
    if (problem === null) return { engine: language, created: created ? language : null, notes };
    if (forced !== undefined)
      throw new CouldNotRun(`engine ${language} can't be used: ${problem}`, remedy(language));
    notes.push(`engine ${language} is not used: ${problem}`);
  }
  return { engine: 'worker', created: null, notes };
}

function remedy(language: Language): string {
  return language === 'plv8'
    ? 'install the package of plv8 for this server (or enable it at the provider), then: create extension plv8'
    : 'install the files of maint_v8 on the server, then as superuser: create extension maint_v8';
}

interface LanguageState {
  exists: boolean;
  usable: boolean | null;
  available: boolean;
}

/** Sees to it that the language exists and may be used; else says why not. */
async function provide(
  client: pg.Client,
  language: Language,
  owner: string | null,
): Promise<{ created: boolean; problem: string | null }> {
  const state = (): Promise<LanguageState> =>
    queryRow<LanguageState>(
      client,
      `select exists (select from pg_catalog.pg_language where lanname = $1) as exists,
         (select pg_catalog.has_language_privilege(coalesce($2, current_user)::name, oid, 'usage') from pg_catalog.pg_language where lanname = $1) as usable,
         exists (select from pg_catalog.pg_available_extensions where name = $1) as available`,
      [language, owner],
    );
  const before = await state();
  let { exists, usable } = before;
  let created = false;
  if (!exists) {
    if (!before.available) return { created, problem: `the server does not offer the extension ${language}` };
    await client.query('savepoint extension');
    try {
      await client.query(`create extension ${language}`);
    } catch (error) {
      const code = sqlstateOf(error);
      if (code === null || !unusable.test(code)) throw error;
      await client.query('rollback to savepoint extension');
      return { created, problem: (error as Error).message };
    }
    await client.query('release savepoint extension');
    created = true;
    ({ exists, usable } = await state());
    if (!exists) return { created, problem: `the extension ${language} brings no language of that name` };
  }
  return {
    created,
    problem:
      usable === true
        ? null
        : `the role that owns it may not use the language: grant usage on language ${language}`,
  };
}
