/** The commands `pg-maint config …`. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse as parseYaml } from 'yaml';
import type { Json, JsonObject } from '../../steps/step.ts';
import { applyConfiguration, showConfiguration } from '../configuration-file.ts';
import type { ConfigurationChange } from '../configuration-file.ts';
import { queryRow } from '../connection.ts';
import { CouldNotRun } from '../errors.ts';
import { renderChanges } from '../render-report.ts';
import {
  addConnectionOptions,
  jsonOption,
  printJson,
  splitTarget,
  targetOf,
  withInstallation,
} from './command.ts';
import type { CommandHost, ConnectionFlags, JsonFlag, Output } from './command.ts';

type Flags = ConnectionFlags & JsonFlag;

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
      { cause: error },
    );
  }
}

function printChanges(output: Output, flags: JsonFlag, changes: readonly ConfigurationChange[]): void {
  if (flags.json) printJson(output, changes);
  else output.write(renderChanges(changes));
}

function addSet(config: Command, output: Output): void {
  addConnectionOptions(config.command('set'))
    .argument('<words...>', '[database] PATH VALUE')
    .option('--scope <scope>', 'schema:NAME, table:SCHEMA.NAME or index:SCHEMA.NAME', 'database')
    .addOption(jsonOption())
    .description('set one setting')
    .action(async (words: string[], flags: Flags & { scope: string }) => {
      const [database, path, word = ''] = splitTarget(words, 2);
      const value = readValue(word);
      const { done } = await withInstallation(targetOf(database, flags), (client) =>
        queryRow<{ done: JsonObject }>(client, 'select maint.configure($1, $2::jsonb, $3) as done', [
          path,
          JSON.stringify(value),
          flags.scope,
        ]),
      );
      printChanges(output, flags, [done as unknown as ConfigurationChange]);
    });
}

function addReset(config: Command, output: Output): void {
  addConnectionOptions(config.command('reset'))
    .argument('<words...>', '[database] PATH')
    .option('--scope <scope>', 'take it back there; all is every scope', 'database')
    .addOption(jsonOption())
    .description('take a setting, or all below a path, back to its default')
    .action(async (words: string[], flags: Flags & { scope: string }) => {
      const [database, path] = splitTarget(words, 1);
      const { gone } = await withInstallation(targetOf(database, flags), (client) =>
        queryRow<{ gone: { path: string; scope: string; default: Json }[] }>(
          client,
          'select maint.reset($1, $2) as gone',
          [path, flags.scope],
        ),
      );
      printChanges(
        output,
        flags,
        gone.map((each) => ({ path: each.path, scope: each.scope, value: each.default })),
      );
    });
}

export function addConfigCommands(program: Command, { output }: CommandHost): void {
  const config = program.command('config').description('show and change the configuration');
  addConnectionOptions(config.command('show'))
    .argument('[database]')
    .addOption(jsonOption())
    .description('print all settings in force as YAML')
    .action(async (database: string | undefined, flags: Flags) => {
      const shown = await withInstallation(targetOf(database, flags), showConfiguration);
      if (flags.json) printJson(output, parseYaml(shown));
      else output.write(shown);
    });
  addConnectionOptions(config.command('apply'))
    .argument('<words...>', '[database] FILE')
    .addOption(jsonOption())
    .description('take the settings of a YAML file (- is standard input): all of them or none')
    .action(async (words: string[], flags: Flags) => {
      const [database, file = '-'] = splitTarget(words, 1);
      const source = readFile(file);
      const changes = await withInstallation(targetOf(database, flags), (client) =>
        applyConfiguration(client, source, file),
      );
      printChanges(output, flags, changes);
    });
  addSet(config, output);
  addReset(config, output);
}
