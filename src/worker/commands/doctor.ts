/** The command `pg-maint doctor`. */
import type { Command } from 'commander';
import { withConnection } from '../connection.ts';
import { examine } from '../doctor.ts';
import type { Check } from '../doctor-check.ts';
import { printable } from '../printable.ts';
import { painter } from '../render.ts';
import { addConnectionOptions, exitCodes, jsonOption, printJson, targetOf } from './command.ts';
import type { CommandHost, ConnectionFlags, JsonFlag } from './command.ts';

const colourOf = { ok: 'green', problem: 'red', advice: 'yellow' } as const;

export function renderChecks(checks: readonly Check[], colour: boolean): string {
  const paint = painter({ colour });
  const lines = checks.flatMap(({ about, status, says, fix }) => [
    `${paint(colourOf[status], status.padEnd(7))}  ${about.padEnd(12)}  ${printable(says)}`,
    ...(fix === null ? [] : [`${' '.repeat(23)}${printable(fix)}`]),
  ]);
  const problems = checks.filter(({ status }) => status === 'problem').length;
  const end =
    problems === 0 ? 'Nothing is missing.' : `${problems} ${problems === 1 ? 'problem' : 'problems'}.`;
  return `${lines.join('\n')}\n\n${end}\n`;
}

export function addDoctorCommand(program: Command, { output, finish }: CommandHost): void {
  addConnectionOptions(program.command('doctor'))
    .argument('[database]')
    .addOption(jsonOption())
    .description('what is missing, and the command that mends it')
    .action(async (database: string | undefined, flags: ConnectionFlags & JsonFlag) => {
      const checks = await withConnection(targetOf(database, flags), examine);
      if (flags.json) printJson(output, checks);
      else output.write(renderChecks(checks, output.colour));
      if (checks.some(({ status }) => status === 'problem')) finish(exitCodes.unhealthy);
    });
}
