/** Asks the step that wanted an action whether it still would: the same judgement, not a copy of it. */
import type pg from 'pg';
import { runAsync } from '../../core/drivers.ts';
import { configForObject, configOf } from '../../core/configuration.ts';
import type { SettingsSnapshot } from '../../core/configuration.ts';
import { queryRow } from '../connection.ts';
import { connectionHost, runInTransaction } from '../host.ts';
import { usageSinceSample } from '../../catalog/index-usage.ts';
import unusedIndexes from '../../steps/06-unused-indexes.ts';
import { steps } from '../../steps/index.ts';
import { actionKey } from '../../steps/step.ts';
import type { Action, Context, Report } from '../../steps/step.ts';
import type { ActionRow, Refusal } from './action.ts';

/** Steps whose check reads the catalog only, with no samples to keep; the other findings need only be open still. */
const cheapToAsk: ReadonlySet<number> = new Set([2, 3]);

/** Null when the action is still wanted. What the check wrote is rolled back. */
export async function stillWanted(
  client: pg.ClientBase,
  action: ActionRow,
  index: { oid: number; valid: boolean },
): Promise<Refusal | null> {
  const { open } = await queryRow<{ open: boolean }>(
    client,
    `select not exists (
       select from maint.finding as f where f.finding_id = $1 and f.resolved_at is not null) as open`,
    [action.finding_id],
  );
  if (!open) return { ok: false, outcome: 'expired', reason: 'the finding was gone before the action began' };
  // An index that an attempt of ours has made invalid is beyond being used: it is dropped to the end.
  if (action.kind === 'drop_index' && action.step_number === unusedIndexes.number && index.valid)
    return await stillUnused(client, index.oid);
  if (!cheapToAsk.has(action.step_number)) return null;
  const report = await check(client, action.step_number);
  if (report === null) return null;
  const key = actionKey(action as unknown as Action);
  if (report.actions.some((each) => actionKey(each) === key && sameOid(each, action))) return null;
  if (action.evidence['explicit'] === true && isStillFound(report, action)) return null;
  const name = 'index' in action.target ? action.target.index : null;
  const undecided = (report.keepOpen ?? []).some(
    ({ schema, object }) => object === name && 'schema' in action.target && schema === action.target.schema,
  );
  return undecided
    ? { ok: false, outcome: 'later', reason: 'somebody works on the index or its table' }
    : { ok: false, outcome: 'expired', reason: 'the step that wanted it would not any more' };
}

/** Whether a drop for want of use still rests on what is known: a scan, a reset or a standby since then may say otherwise. */
async function stillUnused(client: pg.ClientBase, oid: number): Promise<Refusal | null> {
  const { standbys, scans, lost } = await runInTransaction(client, usageSinceSample(oid));
  if (standbys)
    return {
      ok: false,
      outcome: 'skipped',
      reason: 'there is a standby now, whose queries may use it, and their scans are not known here',
    };
  if (lost)
    return {
      ok: false,
      outcome: 'expired',
      reason: "the server's counters were lost since it was judged: the next run judges again",
    };
  if (scans > 0)
    return {
      ok: false,
      outcome: 'expired',
      reason: `the index was scanned since it was judged: ${scans === 1 ? 'once' : `${scans} times`}`,
    };
  return null;
}

/** Asked for by maint.apply: auto_cleanup may be off, so that the step finds it without wanting to act. */
function isStillFound(report: Report, { target }: ActionRow): boolean {
  return report.findings.some(
    ({ detail }) =>
      'oid' in target && detail['index_oid'] === target.oid && detail['kept_because'] === undefined,
  );
}

function sameOid(one: Action, other: ActionRow): boolean {
  return !('oid' in one.target) || !('oid' in other.target) || one.target.oid === other.target.oid;
}

async function check(client: pg.ClientBase, stepNumber: number): Promise<Report | null> {
  const step = steps.find(({ number }) => number === stepNumber);
  if (step === undefined) return null;
  const { settings, now, version } = await queryRow<{
    settings: SettingsSnapshot;
    now: string;
    version: number;
  }>(
    client,
    `select maint.settings_snapshot() as settings, pg_catalog.to_jsonb(pg_catalog.clock_timestamp()) as now,
       pg_catalog.current_setting('server_version_num')::int as version`,
  );
  const context: Context = {
    config: configOf(step, settings) as Context['config'],
    configFor: (object) => configForObject(step, settings, object),
    now,
    serverVersion: version,
    bypasses: [],
    // What alerts would count: none are given here.
    unmuted: (findings) => findings,
  };
  await client.query('begin');
  try {
    return await runAsync(step.check(context), connectionHost(client));
  } finally {
    await client.query('rollback');
  }
}
