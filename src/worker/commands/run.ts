/** The command `pg-maint run`. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import type pg from 'pg';
import type { JsonObject } from '../../steps/step.ts';
import { queryRow } from '../connection.ts';
import { CouldNotRun } from '../errors.ts';
import { listGaps } from '../gaps.ts';
import { runOverConnection } from '../host.ts';
import { LiveLine } from '../live-line.ts';
import { readManifest } from '../manifest.ts';
import { printable } from '../printable.ts';
import { becomeOwner } from '../session.ts';
import { listFindings, renderRun } from '../render.ts';
import { waitForActions } from '../wait-for-actions.ts';
import type { Waited } from '../wait-for-actions.ts';
import {
  addConnectionOptions,
  exitCodes,
  jsonOption,
  printJson,
  targetOf,
  withInstallation,
} from './command.ts';
import type { CommandHost, ConnectionFlags, JsonFlag, Output } from './command.ts';
import { failOnOption, healthCode } from './fail-on.ts';
import type { FailOn } from './fail-on.ts';

interface RunFlags extends ConnectionFlags, JsonFlag {
  force: boolean;
  only?: string[];
  dryRun: boolean;
  wait: boolean;
  timeout: number;
  failOn: FailOn;
}

export function seconds(word: string): number {
  const number = Number(word);
  if (!Number.isInteger(number) || number < 1 || number > 604_800)
    throw new InvalidArgumentError('a whole number of seconds from 1 to 604800.');
  return number;
}

/** The code of the messages that maint.record_step sends to a client that follows the run. */
const progressCode = 'MT001';

interface StepProgress {
  name: string;
  status: string;
  /** How many steps there are. */
  steps: number;
}

/** Shows each step as it ends. Returns what takes it back. */
async function followSteps(client: pg.Client, line: LiveLine): Promise<() => void> {
  if (!line.visible) return () => undefined;
  await client.query('set client_min_messages = debug1');
  let done = 0;
  const heard = (notice: { code?: string | undefined; detail?: string | undefined }): void => {
    if (notice.code !== progressCode) return;
    const { name, status, steps } = JSON.parse(notice.detail ?? '{}') as StepProgress;
    done += 1;
    line.show(`steps ${done} of ${steps} · ${name} ${status}`);
  };
  client.on('notice', heard);
  line.show('steps …');
  return () => {
    client.off('notice', heard);
    line.clear();
  };
}

async function perform(client: pg.Client, flags: RunFlags): Promise<JsonObject> {
  const { in_database, version } = await queryRow<{ in_database: boolean; version: string }>(
    client,
    `select s.status ->> 'version' as version,
       pg_catalog.to_regprocedure('maint.dispatch(jsonb)') is not null as in_database
     from (select maint.status() as status) as s`,
  );
  const own = readManifest().version;
  const { force, only, dryRun } = flags;
  if (in_database) {
    const { result } = await queryRow<{ result: JsonObject }>(
      client,
      'select maint.run($1, $2, $3) as result',
      [force, only ?? null, dryRun],
    );
    return result;
  }
  // The steps that run are this program's, and the tables and settings they need are the database's.
  if (version !== own)
    throw new CouldNotRun(`the database has pg-maint ${version} and this is ${own}`, 'pg-maint install URL');
  // The steps have the rights of the owner of schema maint, as they would have in the server.
  await becomeOwner(client);
  return await runOverConnection(client, { force, dryRun, ...(only && { only }) });
}

/** A step that failed, or was cut off, is no finding and no gap to be left aside. */
function stepFailed(result: JsonObject): boolean {
  const steps = Object.values((result['steps'] ?? {}) as Record<string, JsonObject>);
  return steps.some(({ status }) => status === 'failed' || status === 'timed_out');
}

function runCode(result: JsonObject, waited: Waited | null, health: number, failOn: FailOn): number {
  if (result['status'] === 'failed') return exitCodes.couldNotRun;
  const actionFailed = waited?.actions.some(({ status }) => status === 'failed') ?? false;
  const unfinished = waited !== null && waited.status !== 'finished';
  const partial = result['status'] === 'partial' && (failOn !== 'never' || stepFailed(result));
  return partial || actionFailed || unfinished ? exitCodes.unhealthy : health;
}

async function run(target: string | undefined, flags: RunFlags, output: Output): Promise<number> {
  const line = LiveLine.of(output);
  return await withInstallation(target, async (client) => {
    const unfollow = await followSteps(client, line);
    let result = await perform(client, flags).finally(unfollow);
    const runId = result['run_id'];
    let waited: Waited | null = null;
    if (flags.wait && typeof runId === 'number') {
      const say = (text: string): void => {
        output.writeError(`${printable(text)}\n`);
      };
      waited = await waitForActions(client, {
        target,
        which: 'a.last_run_id = $1',
        id: runId,
        timeoutSeconds: flags.timeout,
        line,
        say,
      });
      const row = await queryRow<{ result: JsonObject }>(client, 'select maint.result($1) as result', [
        runId,
      ]);
      result = { ...row.result, wait: { status: waited.status, seconds: waited.seconds } };
    }
    // A skipped run has looked at nothing: what is open is known from the one before.
    const findings = flags.dryRun ? [] : await listFindings(client);
    const gaps = flags.dryRun ? [] : await listGaps(client);
    if (flags.json) printJson(output, result);
    else
      output.write(
        renderRun(result, result['status'] === 'skipped' ? [] : findings, { colour: output.colour }),
      );
    return runCode(result, waited, healthCode(findings, flags.only ? [] : gaps, flags.failOn), flags.failOn);
  });
}

export function addRunCommand(program: Command, { output, finish }: CommandHost): void {
  addConnectionOptions(program.command('run'))
    .argument('[database]')
    .option('--force', 'ignore the intervals', false)
    .option('--only <steps>', 'names or numbers of steps, with commas', (words: string) => words.split(','))
    .option('--dry-run', 'do all of it and leave nothing behind', false)
    .option('--wait', 'wait for the actions that it queues; without a worker, do them', false)
    .option('--timeout <seconds>', 'how long --wait waits', seconds, 600)
    .addOption(failOnOption())
    .addOption(jsonOption())
    .description('run maintenance')
    .action(async (database: string | undefined, flags: RunFlags) => {
      finish(await run(targetOf(database, flags), flags, output));
    });
}
