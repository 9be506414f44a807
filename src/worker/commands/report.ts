/** The command `pg-maint report`. */
import { renameSync, statSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { CouldNotRun } from '../errors.ts';
import { readReport } from '../report/data.ts';
import { addConnectionOptions, jsonOption, printJson, targetOf, withInstallation } from './command.ts';
import type { CommandHost, ConnectionFlags, JsonFlag } from './command.ts';

interface ReportFlags extends ConnectionFlags, JsonFlag {
  output: string;
}

/** As a whole or not at all: whoever looks at it meanwhile sees the old one. */
function writeWhole(file: string, text: string): void {
  try {
    // A device such as /dev/null would be replaced by a file.
    if (statSync(file, { throwIfNoEntry: false })?.isFile() === false) {
      writeFileSync(file, text);
      return;
    }
    const temporary = `${file}.${process.pid}.tmp`;
    // A link that another account put there is not followed.
    writeFileSync(temporary, text, { flag: 'wx' });
    renameSync(temporary, file);
  } catch (error) {
    throw new CouldNotRun(`can't write ${file}: ${(error as Error).message}`, 'name another with --output', {
      cause: error,
    });
  }
}

export function addReportCommand(program: Command, { output }: CommandHost): void {
  addConnectionOptions(program.command('report'))
    .argument('[database]')
    .option('-o, --output <file>', 'the page to write; - is standard output', 'report.html')
    .addOption(jsonOption())
    .description('write one page to look at: health, findings, indexes, what was done')
    .action(async (database: string | undefined, flags: ReportFlags) => {
      const data = await withInstallation(targetOf(database, flags), readReport);
      if (flags.json) {
        printJson(output, data);
        return;
      }
      // Not before it is needed: drawing takes a second to load.
      const { renderReport } = await import('../report/page.ts');
      const page = renderReport(data);
      if (flags.output === '-') output.write(page);
      else {
        writeWhole(flags.output, page);
        output.write(`wrote ${flags.output}\n`);
      }
    });
}
