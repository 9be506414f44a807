/** What the commands share: where they write, how they end, and how they reach an installation. */
import { Option } from 'commander';
import type { Command } from 'commander';
import type pg from 'pg';
import { sqlstate } from '../../core/sqlstate.ts';
import { withConnection } from '../connection.ts';
import { CouldNotRun, sqlstateOf } from '../errors.ts';
import { printable } from '../printable.ts';
import { isUrl, parseTarget, writeTarget } from '../target/keywords.ts';
import type { Keywords } from '../target/keywords.ts';
import { requireTrust, trustOwners } from '../trust.ts';

export interface Output {
  write(text: string): void;
  writeError(text: string): void;
  /** Whether the answer goes to a terminal that shows colours. */
  colour: boolean;
  /** Whether messages go to a terminal, where a line can be written anew. */
  live?: boolean;
}

/**
 * How a command ends, for cron and CI. `unhealthy`: it was done, and something wants attention: an open finding at or
 * above --fail-on, a step or an action that failed, a want that `doctor` names, or something that could not be examined
 * and that no person accepted, so that a partial run is one of these. `couldNotRun`: nothing was done, or the run failed as a whole.
 */
export const exitCodes = { healthy: 0, unhealthy: 1, couldNotRun: 2 } as const;

/** What every command gets: its output, and `finish` for an exit code other than 0. */
export interface CommandHost {
  output: Output;
  finish(code: number): void;
}

export interface JsonFlag {
  json: boolean;
}

export const jsonOption = (): Option => new Option('--json', 'print the answer as JSON').default(false);

export function printJson(output: Output, value: unknown): void {
  output.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Where the database is, by options as psql and vacuumdb have them. */
export interface ConnectionFlags {
  dbname?: string;
  host?: string;
  port?: string;
  username?: string;
}

/** Adds -d, -h, -p and -U. */
export function addConnectionOptions(command: Command): Command {
  return command
    .option('-d, --dbname <target>', 'database: a name, a URL or keyword=value pairs')
    .option('-h, --host <host>', 'host or socket directory of the server')
    .option('-p, --port <port>', 'port of the server')
    .option('-U, --username <name>', 'role to connect as')
    .addOption(trustOption());
}

/** Takes effect as it is read: every connection of this process asks it, also those that know no flags. */
export function trustOption(): Option {
  return new Option(
    '--trust-owner <roles>',
    'also use a schema maint that one of these roles owns, as a superuser; PG_MAINT_TRUST_OWNERS says the same',
  ).argParser((word: string) => {
    trustOwners(word.split(','));
    return word;
  });
}

/** The target as one connection string; undefined where the environment says all. The options win over the word. */
export function targetOf(word: string | undefined, flags: ConnectionFlags): string | undefined {
  if (word !== undefined && flags.dbname !== undefined)
    throw new CouldNotRun(`the database is named twice: "${printable(word)}" and --dbname`);
  const named = word ?? flags.dbname;
  const given: Record<string, string | undefined> = {
    host: flags.host,
    port: flags.port,
    user: flags.username,
  };
  const options: Keywords = Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  if (Object.keys(options).length === 0) return named;
  const rest = named ?? process.env['DATABASE_URL'] ?? '';
  return writeTarget({ ...(rest !== '' && parseTarget(rest)), ...options });
}

/** The first word is the database where there is one more than expected; else the environment says where. */
export function splitTarget(words: readonly string[], expected: number): [string | undefined, ...string[]] {
  const [first, ...rest] = words;
  if (words.length === expected + 1) return [first, ...rest];
  if (words.length !== expected || (first !== undefined && isUrl(first)))
    throw new CouldNotRun('too few or too many words', 'see pg-maint help');
  return [undefined, ...words];
}

/** Undefined table, function or schema: there is no pg-maint in this database. */
const notInstalled = new Set<string>([
  sqlstate.invalidSchemaName,
  sqlstate.undefinedTable,
  sqlstate.undefinedFunction,
]);

export async function withInstallation<Result>(
  target: string | undefined,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  return await withConnection(target, async (client) => {
    const { owner } = await requireTrust(client);
    if (owner === null)
      throw new CouldNotRun('pg-maint is not installed in this database', 'pg-maint install URL');
    try {
      return await work(client);
    } catch (error) {
      if (sqlstateOf(error) === sqlstate.insufficientPrivilege) {
        throw new CouldNotRun((error as Error).message, 'ask for the role maint_reader or maint_operator', {
          cause: error,
        });
      }
      if (!notInstalled.has(sqlstateOf(error) ?? '')) throw error;
      throw new CouldNotRun(
        `pg-maint is not complete in this database: ${(error as Error).message}`,
        'pg-maint install URL',
        { cause: error },
      );
    }
  });
}
