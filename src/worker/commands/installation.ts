/** The commands `pg-maint install`, `uninstall` and `status`. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { queryRow } from '../connection.ts';
import { install } from '../install.ts';
import type { Engine } from '../install.ts';
import { renderInstall, renderStatus, renderUninstall } from '../render-report.ts';
import type { Status } from '../render-report.ts';
import { uninstall } from '../uninstall.ts';
import { addConnectionOptions, jsonOption, printJson, targetOf, withInstallation } from './command.ts';
import type { CommandHost, ConnectionFlags, JsonFlag } from './command.ts';

type Flags = ConnectionFlags & JsonFlag;

export function addInstallationCommands(program: Command, { output }: CommandHost): void {
  addConnectionOptions(program.command('install'))
    .argument('[database]')
    .addOption(
      new Option('--engine <engine>', 'instead of the best one that can be had').choices([
        'plv8',
        'maint_v8',
        'worker',
      ]),
    )
    .addOption(jsonOption())
    .description('install or upgrade pg-maint, or repair what is there')
    .action(async (database: string | undefined, flags: Flags & { engine?: Engine }) => {
      const options = flags.engine === undefined ? {} : { engine: flags.engine };
      const report = await install(targetOf(database, flags), options);
      if (flags.json) printJson(output, report);
      else output.write(renderInstall(report));
    });
  addConnectionOptions(program.command('uninstall'))
    .argument('[database]')
    .option('--force', 'also drop what depends on pg-maint', false)
    .addOption(jsonOption())
    .description('drop schema maint')
    .action(async (database: string | undefined, flags: Flags & { force: boolean }) => {
      const report = await uninstall(targetOf(database, flags), { force: flags.force });
      if (flags.json) printJson(output, report);
      else output.write(renderUninstall(report));
    });
  addConnectionOptions(program.command('status'))
    .argument('[database]')
    .addOption(jsonOption())
    .description('what is installed and how it stands')
    .action(async (database: string | undefined, flags: Flags) => {
      const { status } = await withInstallation(targetOf(database, flags), (client) =>
        queryRow<{ status: Status }>(client, 'select maint.status() as status'),
      );
      if (flags.json) printJson(output, status);
      else output.write(renderStatus(status));
    });
}
