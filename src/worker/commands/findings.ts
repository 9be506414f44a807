/** The commands `pg-maint findings`, `apply`, `undo` and `cancel`. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type pg from 'pg';
import { queryRow } from '../connection.ts';
import { listGaps } from '../gaps.ts';
import { LiveLine } from '../live-line.ts';
import { printable } from '../printable.ts';
import { listFindings, renderFindings, renderUnexamined } from '../render.ts';
import type { Severity } from '../../steps/step.ts';
import { waitForActions } from '../wait-for-actions.ts';
import {
  addConnectionOptions,
  exitCodes,
  jsonOption,
  printJson,
  splitTarget,
  targetOf,
  withInstallation,
} from './command.ts';
import type { CommandHost, ConnectionFlags, JsonFlag } from './command.ts';
import { failOnOption, healthCode } from './fail-on.ts';
import type { FailOn } from './fail-on.ts';
import { seconds } from './run.ts';

const severities = ['info', 'warning', 'critical'] as const;

interface FindingsFlags extends ConnectionFlags, JsonFlag {
  severity: Severity;
  kind?: string;
  failOn: FailOn;
}

function matches(kind: string, pattern: string | undefined): boolean {
  if (pattern === undefined) return true;
  return pattern.endsWith('*') ? kind.startsWith(pattern.slice(0, -1)) : kind === pattern;
}

function addFindings(program: Command, { output, finish }: CommandHost): void {
  addConnectionOptions(program.command('findings'))
    .argument('[database]')
    .addOption(
      new Option('--severity <severity>', 'these and worse ones').choices(severities).default('info'),
    )
    .option('--kind <kind>', "of this kind, or of those that begin so: 'index.*'")
    .addOption(failOnOption())
    .addOption(jsonOption())
    .description('list the open findings with their remedies, the worst first')
    .action(async (database: string | undefined, flags: FindingsFlags) => {
      const least = severities.indexOf(flags.severity);
      const { all, gaps } = await withInstallation(targetOf(database, flags), async (client) => ({
        all: await listFindings(client),
        gaps: await listGaps(client),
      }));
      const findings = all.filter(
        ({ severity, kind }) => severities.indexOf(severity) >= least && matches(kind, flags.kind),
      );
      if (flags.json) printJson(output, findings);
      else {
        const options = { colour: output.colour };
        output.write(renderFindings(findings, options, gaps));
        const unexamined = renderUnexamined(gaps, options);
        if (unexamined !== '') output.write(`\n${unexamined}`);
      }
      // Asked for one kind, what other steps could not see is not the answer.
      finish(healthCode(findings, flags.kind === undefined ? gaps : [], flags.failOn));
    });
}

/** What maint.apply, maint.undo and maint.cancel answer. */
interface Answer {
  action_id: number;
  status: string;
  kind: string;
  already?: boolean;
}

interface WaitFlags extends ConnectionFlags, JsonFlag {
  wait: boolean;
  timeout: number;
}

function wholeNumber(word: string): number {
  const number = Number(word);
  if (!/^\d+$/.test(word) || !Number.isSafeInteger(number))
    throw new InvalidArgumentError(`"${printable(word)}" is no number.`);
  return number;
}

async function ask(client: pg.Client, call: string, id: number): Promise<Answer> {
  return (await queryRow<{ answer: Answer }>(client, `select ${call}($1) as answer`, [id])).answer;
}

function addQueueing(
  program: Command,
  { output, finish }: CommandHost,
  name: 'apply' | 'undo',
  numbered: 'FINDING' | 'ACTION',
  description: string,
): void {
  addConnectionOptions(program.command(name))
    .argument('<words...>', `[database] ${numbered}, its number`)
    .option('--wait', 'wait until it is done; without a worker, do it', false)
    .option('--timeout <seconds>', 'how long --wait waits', seconds, 600)
    .addOption(jsonOption())
    .description(description)
    .action(async (words: string[], flags: WaitFlags) => {
      const [database, word = ''] = splitTarget(words, 1);
      const id = wholeNumber(word);
      const target = targetOf(database, flags);
      await withInstallation(target, async (client) => {
        const answer = await ask(client, `maint.${name}`, id);
        if (!flags.wait) {
          if (flags.json) printJson(output, answer);
          else {
            const already = answer.already === true ? ' already' : '';
            output.write(`action ${answer.action_id}: ${answer.kind} is${already} ${answer.status}\n`);
          }
          return;
        }
        const line = LiveLine.of(output);
        const say = (text: string): void => {
          if (flags.json) output.writeError(`${printable(text)}\n`);
          else output.write(`${printable(text)}\n`);
        };
        const waited = await waitForActions(client, {
          target,
          which: 'a.action_id = $1',
          id: answer.action_id,
          timeoutSeconds: flags.timeout,
          line,
          say,
        });
        const [action] = waited.actions;
        if (flags.json) printJson(output, { ...answer, ...action, wait: waited.status });
        else if (waited.status !== 'finished') say(unfinished(waited.status, action?.outcome ?? null));
        finish(action?.status === 'succeeded' ? exitCodes.healthy : exitCodes.unhealthy);
      });
    });
}

function unfinished(status: 'timed_out' | 'no_worker', outcome: string | null): string {
  return status === 'no_worker'
    ? 'no worker is alive, and this role is not the owner of schema maint: it waits until one is started (pg-maint worker)'
    : `not done yet${outcome === null ? '' : `: ${outcome}`}`;
}

function addCancel(program: Command, { output }: CommandHost): void {
  addConnectionOptions(program.command('cancel'))
    .argument('<words...>', '[database] ACTION, its number')
    .addOption(jsonOption())
    .description('take back an action that has not begun')
    .action(async (words: string[], flags: ConnectionFlags & JsonFlag) => {
      const [database, word = ''] = splitTarget(words, 1);
      const id = wholeNumber(word);
      const answer = await withInstallation(targetOf(database, flags), (client) =>
        ask(client, 'maint.cancel', id),
      );
      if (flags.json) printJson(output, answer);
      else output.write(`action ${id} is taken back\n`);
    });
}

export function addFindingsCommands(program: Command, host: CommandHost): void {
  addFindings(program, host);
  addQueueing(program, host, 'apply', 'FINDING', "do what a finding's remedy says");
  addQueueing(program, host, 'undo', 'ACTION', 'take back what an action did');
  addCancel(program, host);
}
