/** The commands `pg-maint install`, `uninstall` and `status`. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { queryRow } from '../connection.ts';
import { install } from '../install.ts';
import type { InstallOptions } from '../install.ts';
import { readManifest } from '../manifest.ts';
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
    .option('--owner <role>', 'role that everything is to belong to; maint_owner where a superuser installs')
    .option('--create-extensions', 'create the extensions that the engine and the steps use', false)
    .option('--dry-run', 'say what it would do, and change nothing', false)
    .addOption(jsonOption())
    .description('install or upgrade pg-maint, or repair what is there')
    .action(async (database: string | undefined, flags: Flags & InstallOptions) => {
      const report = await install(targetOf(database, flags), flags);
      if (flags.json) printJson(output, report);
      else output.write(renderInstall(report));
    });
  addConnectionOptions(program.command('uninstall'))
    .argument('[database]')
    .option('--force', 'also drop what depends on pg-maint', false)
    .addOption(jsonOption())
    .description('drop schemas maint, maint_boss and maint_privileged')
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
      const own = readManifest().version;
      if (status.version !== own)
        status.problems.unshift({
          problem: 'program_version',
          detail: `the database has pg-maint ${status.version} and this program is ${own}`,
          fix: 'pg-maint install URL',
        });
      if (flags.json) printJson(output, status);
      else output.write(renderStatus(status));
    });
}
