/** The command pg-maint. */
import { readFileSync, realpathSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import pg from 'pg';
import { parse as parseYaml } from 'yaml';
import { sqlstate } from '../core/sqlstate.ts';
import { FailureError } from '../core/program.ts';
import type { Json, JsonObject } from '../steps/step.ts';
import { applyConfiguration, ConfigurationError, showConfiguration } from './configuration-file.ts';
import { queryRow, withConnection } from './connection.ts';
import { CouldNotRun, sqlstateOf } from './errors.ts';
import { runOverConnection } from './host.ts';
import { install } from './install.ts';
import type { Engine } from './install.ts';
import { readManifest } from './manifest.ts';
import { printable } from './printable.ts';
import { listFindings, renderRun } from './render.ts';
import { renderChanges, renderInstall, renderStatus, renderUninstall } from './render-report.ts';
import type { Status } from './render-report.ts';
import { uninstall } from './uninstall.ts';
import { addWorkerCommand } from './worker-command.ts';

/** success or skipped; a run that was partial or failed; nothing could be done, or the command line was wrong. */
const exitCodes = { done: 0, incomplete: 1, couldNotRun: 2 } as const;

export interface Output {
  write(text: string): void;
  writeError(text: string): void;
  colour: boolean;
}

const jsonOption = (): Option => new Option('--json', 'print the answer as JSON').default(false);

/** The first word is the URL, unless the environment says where and it is left out. */
function splitUrl(words: readonly string[], expected: number): [string | undefined, ...string[]] {
  const [first, ...rest] = words;
  const given = words.length === expected + 1;
  if (given && !isUrl(first)) {
    throw new CouldNotRun(
      `"${printable(first ?? '')}" is no database URL`,
      'give one such as postgresql://host/database',
    );
  }
  if (!given && (words.length !== expected || isUrl(first))) {
    throw new CouldNotRun('too few or too many words', 'see pg-maint help');
  }
  return given ? [first, ...rest] : [undefined, ...words];
}

function isUrl(word: string | undefined): boolean {
  return word !== undefined && /^postgres(ql)?:\/\//.test(word);
}

/** Undefined table, function or schema: there is no pg-maint in this database. */
const notInstalled = new Set<string>([
  sqlstate.invalidSchemaName,
  sqlstate.undefinedTable,
  sqlstate.undefinedFunction,
]);

async function withInstallation<Result>(
  url: string | undefined,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  return await withConnection(url, async (client) => {
    const { installed } = await queryRow<{ installed: boolean }>(
      client,
      `select pg_catalog.to_regnamespace('maint') is not null as installed`,
    );
    if (!installed)
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

interface RunFlags {
  force: boolean;
  only?: string[];
  dryRun: boolean;
  json: boolean;
}

async function run(url: string | undefined, flags: RunFlags, output: Output): Promise<number> {
  return await withInstallation(url, async (client) => {
    const { engine, version } = await queryRow<{ engine: Engine; version: string }>(
      client,
      `select s.status ->> 'engine' as engine, s.status ->> 'version' as version
       from (select maint.status() as status) as s`,
    );
    const own = readManifest().version;
    if (engine === 'worker' && version !== own) {
      // The steps that run are this program's, and the tables and settings they need are the database's.
      throw new CouldNotRun(
        `the database has pg-maint ${version} and this is ${own}`,
        'pg-maint install URL',
      );
    }
    const { force, only, dryRun } = flags;
    const result =
      engine === 'worker'
        ? await runOverConnection(client, { force, dryRun, ...(only && { only }) })
        : (
            await queryRow<{ result: JsonObject }>(client, 'select maint.run($1, $2, $3) as result', [
              force,
              only ?? null,
              dryRun,
            ])
          ).result;
    const shown = result['status'] === 'skipped' ? [] : await listFindings(client);
    output.write(
      flags.json
        ? `${JSON.stringify(result, null, 2)}\n`
        : renderRun(result, shown, { colour: output.colour }),
    );
    return result['status'] === 'success' || result['status'] === 'skipped'
      ? exitCodes.done
      : exitCodes.incomplete;
  });
}

function readFile(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new CouldNotRun(`can't read ${file}: ${(error as Error).message}`, null, { cause: error });
  }
}

function readValue(word: string): Json {
  try {
    return parseYaml(word, { version: '1.2', schema: 'core', maxAliasCount: 0 }) as Json;
  } catch (error) {
    throw new CouldNotRun(
      `can't read the value: ${(error as Error).message}`,
      'give one such as true, 30 or weekly',
      {
        cause: error,
      },
    );
  }
}

function addConfigCommands(program: Command, output: Output): void {
  const config = program.command('config').description('show and change the configuration');
  config
    .command('show')
    .argument('[url]')
    .description('print all settings in force as YAML')
    .action(async (url: string | undefined) => {
      output.write(await withInstallation(url, showConfiguration));
    });
  config
    .command('apply')
    .argument('<words...>', '[url] FILE')
    .description('take the settings of a YAML file (- is standard input): all of them or none')
    .action(async (words: string[]) => {
      const [url, file = '-'] = splitUrl(words, 1);
      const source = readFile(file);
      output.write(
        renderChanges(await withInstallation(url, (client) => applyConfiguration(client, source, file))),
      );
    });
  config
    .command('set')
    .argument('<words...>', '[url] PATH VALUE')
    .option('--scope <scope>', 'schema:NAME, table:SCHEMA.NAME or index:SCHEMA.NAME', 'database')
    .description('set one setting')
    .action(async (words: string[], { scope }: { scope: string }) => {
      const [url, path, word = ''] = splitUrl(words, 2);
      const value = readValue(word);
      const { done } = await withInstallation(url, (client) =>
        queryRow<{ done: JsonObject }>(client, 'select maint.configure($1, $2::jsonb, $3) as done', [
          path,
          JSON.stringify(value),
          scope,
        ]),
      );
      output.write(renderChanges([done as unknown as { path: string; scope: string; value: Json }]));
    });
  config
    .command('reset')
    .argument('<words...>', '[url] PATH')
    .option('--scope <scope>', 'take it back there; all is every scope', 'database')
    .description('take a setting, or all below a path, back to its default')
    .action(async (words: string[], { scope }: { scope: string }) => {
      const [url, path] = splitUrl(words, 1);
      const { gone } = await withInstallation(url, (client) =>
        queryRow<{ gone: { path: string; scope: string; default: Json }[] }>(
          client,
          'select maint.reset($1, $2) as gone',
          [path, scope],
        ),
      );
      output.write(renderChanges(gone.map((each) => ({ ...each, value: each.default }))));
    });
}

function makeProgram(output: Output, finish: (code: number) => void): Command {
  const program = new Command('pg-maint')
    .description('Keeps a PostgreSQL database healthy from inside it.')
    .version(readManifest().version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        output.write(text);
      },
      writeErr: (text) => {
        output.writeError(text);
      },
    })
    .addHelpText(
      'after',
      `
Where no URL is given, DATABASE_URL or PGHOST, PGDATABASE and so on say which database.

Exit codes: 0 done, or skipped with its reason; 1 the run was partial or failed; 2 nothing could be done.`,
    );
  program
    .command('install')
    .argument('[url]')
    .addOption(
      new Option('--engine <engine>', 'instead of the best one that can be had').choices([
        'plv8',
        'maint_v8',
        'worker',
      ]),
    )
    .addOption(jsonOption())
    .description('install or upgrade pg-maint, or repair what is there')
    .action(async (url: string | undefined, flags: { engine?: Engine; json: boolean }) => {
      const report = await install(url, flags.engine === undefined ? {} : { engine: flags.engine });
      output.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : renderInstall(report));
    });
  program
    .command('uninstall')
    .argument('[url]')
    .option('--force', 'also drop what depends on pg-maint', false)
    .description('drop schema maint')
    .action(async (url: string | undefined, { force }: { force: boolean }) => {
      output.write(renderUninstall(await uninstall(url, { force })));
    });
  program
    .command('status')
    .argument('[url]')
    .addOption(jsonOption())
    .description('what is installed and how it stands')
    .action(async (url: string | undefined, flags: { json: boolean }) => {
      const { status } = await withInstallation(url, (client) =>
        queryRow<{ status: Status }>(client, 'select maint.status() as status'),
      );
      output.write(flags.json ? `${JSON.stringify(status, null, 2)}\n` : renderStatus(status));
    });
  program
    .command('run')
    .argument('[url]')
    .option('--force', 'ignore the intervals', false)
    .option('--only <steps>', 'names or numbers of steps, with commas', (words: string) => words.split(','))
    .option('--dry-run', 'do all of it and leave nothing behind', false)
    .addOption(jsonOption())
    .description('run maintenance')
    .action(async (url: string | undefined, flags: RunFlags) => {
      finish(await run(url, flags, output));
    });
  addConfigCommands(program, output);
  addWorkerCommand(program, (text) => {
    output.writeError(text);
  });
  return program;
}

/** The message of an error for people, with what to do about it where that is known. */
function explain(error: unknown): string {
  if (error instanceof CouldNotRun) return `${error.message}${error.fix === null ? '' : `\n  ${error.fix}`}`;
  if (error instanceof ConfigurationError) return error.message;
  if (error instanceof pg.DatabaseError) {
    const more = [error.detail, error.hint].filter((line) => line !== undefined);
    return [`${error.message} (SQLSTATE ${String(error.code)})`, ...more].join('\n  ');
  }
  if (error instanceof FailureError) {
    const { sqlstate, message, detail, hint } = error.failure;
    return [`${message} (SQLSTATE ${sqlstate})`, ...[detail, hint].filter((line) => line !== undefined)].join(
      '\n  ',
    );
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Runs the command line `words` and returns the exit code. */
export async function main(words: readonly string[], output: Output): Promise<number> {
  let code: number = exitCodes.done;
  try {
    await makeProgram(output, (given) => (code = given)).parseAsync(words, { from: 'user' });
  } catch (error) {
    // commander has said already what was wrong; help that was asked for ends with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.couldNotRun;
    const lines = explain(error).split('\n').map(printable).join('\n');
    output.writeError(`pg-maint: ${lines}\n`);
    return exitCodes.couldNotRun;
  }
  return code;
}

// Not import.meta.main, which Node 22 lacks. npm starts the program by a link to it.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  const { stdout, stderr, argv, env } = process;
  const colour = stdout.isTTY && env['NO_COLOR'] === undefined;
  process.exitCode = await main(argv.slice(2), {
    write: (text) => stdout.write(text),
    writeError: (text) => stderr.write(text),
    colour,
  });
}
