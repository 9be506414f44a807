/** Which language runs the checks in the server. */
import type pg from 'pg';
import { queryRow } from './connection.ts';
import { CouldNotRun } from './errors.ts';
import { createExtension } from './extensions.ts';
import type { Engine } from './install-script.ts';
import type { Journal } from './journal.ts';

type Language = Exclude<Engine, 'worker'>;

export interface EngineChoice {
  engine: Engine;
  /** The extension that had to be created for it. */
  created: string | null;
  /** Why a better engine was not taken. */
  notes: string[];
}

const languages: readonly Language[] = ['plv8', 'maint_v8'];

/**
 * Picks the engine: the forced one, or the first of plv8, maint_v8, worker that `owner` can use. Creates its extension only
 * if `create`. In a transaction.
 */
export async function chooseEngine(
  client: pg.Client,
  forced: Engine | undefined,
  owner: string,
  create: boolean,
  journal: Journal,
): Promise<EngineChoice> {
  const notes: string[] = [];
  if (forced === 'worker') return { engine: 'worker', created: null, notes };
  for (const language of forced === undefined ? languages : [forced]) {
    const { created, problem } = await provide(client, language, owner, create, journal);
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
  trusted: boolean | null;
  encoding: string;
  available: boolean;
}

/** Sees to it that the language exists and may be used; else says why not. */
async function provide(
  client: pg.Client,
  language: Language,
  owner: string,
  create: boolean,
  journal: Journal,
): Promise<{ created: boolean; problem: string | null }> {
  // A superuser who installs grants what a trusted language wants, and gives away functions in one that is not.
  const state = (): Promise<LanguageState> =>
    queryRow<LanguageState & pg.QueryResultRow>(
      client,
      `select l.oid is not null as exists,
         me.superuser or l.lanpltrusted and pg_catalog.has_language_privilege($2::name, l.oid, 'usage') as usable,
         l.lanpltrusted as trusted, pg_catalog.getdatabaseencoding() as encoding,
         exists (select from pg_catalog.pg_available_extensions as e where e.name = $1) as available
       from (select r.rolsuper as superuser from pg_catalog.pg_roles as r where r.rolname = current_user) as me
       left join pg_catalog.pg_language as l on l.lanname = $1`,
      [language, owner],
    );
  const before = await state();
  let { exists, usable, trusted } = before;
  let created = false;
  // Its jsonb conversion takes the server's text for UTF-8.
  if (language === 'plv8' && before.encoding !== 'UTF8')
    return {
      created,
      problem: `it reads jsonb wrongly in a database whose encoding is not UTF8 but ${before.encoding}`,
    };
  if (!exists) {
    if (!before.available) return { created, problem: `the server does not offer the extension ${language}` };
    if (!create)
      return {
        created,
        problem: `the server has the extension ${language}, which is not created here: create extension ${language}, or --create-extensions`,
      };
    const problem = await createExtension(client, language, journal);
    if (problem !== null) return { created, problem };
    created = true;
    ({ exists, usable, trusted } = await state());
    if (!exists) return { created, problem: `the extension ${language} brings no language of that name` };
  }
  return {
    created,
    problem:
      usable === true
        ? null
        : trusted === true
          ? `the role that owns it may not use the language: grant usage on language ${language}`
          : 'only a superuser may write functions in the language: install as one',
  };
}
