/** The command pg-maint. */
import { realpathSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import pg from 'pg';
import { FailureError } from '../core/program.ts';
import { exitCodes } from './commands/command.ts';
import type { CommandHost, Output } from './commands/command.ts';
import { addCompletionCommand } from './commands/completion.ts';
import { addConfigCommands } from './commands/config.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addExportCommand } from './commands/export.ts';
import { addFindingsCommands } from './commands/findings.ts';
import { addInstallationCommands } from './commands/installation.ts';
import { addReportCommand } from './commands/report.ts';
import { addRunCommand } from './commands/run.ts';
import { ConfigurationError } from './configuration-file.ts';
import { CouldNotRun } from './errors.ts';
import { readManifest } from './manifest.ts';
import { printable } from './printable.ts';
import { addWorkerCommand } from './worker-command.ts';

const usage = `
Where no database is named, DATABASE_URL, or PGSERVICE, PGHOST, PGDATABASE and so on say which, as for psql; a password
may come from ~/.pgpass, and a service from ~/.pg_service.conf.

Exit codes: 0 done and healthy, or skipped with its reason; 1 done, and something needs attention: an open finding at or
above --fail-on, something that could not be examined and that no person accepted (maint.accept_gap), a step or an action
that failed, what doctor misses; 2 nothing could be done.`;

function makeProgram(output: Output, finish: (code: number) => void): Command {
  const program = new Command('pg-maint')
    .description('Keeps a PostgreSQL database healthy from inside it.')
    .version(readManifest().version)
    // -h is the host, as in psql.
    .helpOption('-?, --help', 'show what can be said')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        output.write(text);
      },
      writeErr: (text) => {
        output.writeError(text);
      },
    })
    .addHelpText('after', usage);
  const host: CommandHost = { output, finish };
  addInstallationCommands(program, host);
  addDoctorCommand(program, host);
  addRunCommand(program, host);
  addFindingsCommands(program, host);
  addReportCommand(program, host);
  addConfigCommands(program, host);
  addExportCommand(program, host);
  addWorkerCommand(program, (text) => {
    output.writeError(text);
  });
  addCompletionCommand(program, host);
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
  let code: number = exitCodes.healthy;
  try {
    await makeProgram(output, (given) => (code = given)).parseAsync(words, { from: 'user' });
  } catch (error) {
    // commander has said already what was wrong; help that was asked for ends with 0.
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? exitCodes.healthy : exitCodes.couldNotRun;
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
    live: stderr.isTTY && env['TERM'] !== 'dumb',
  });
}
