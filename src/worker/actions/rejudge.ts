/** Asks the step that wanted an action whether it still would: the same judgement, not a copy of it. */
import type pg from 'pg';
import { runAsync } from '../../core/drivers.ts';
import { configForObject, configOf } from '../../core/configuration.ts';
import type { SettingsSnapshot } from '../../core/configuration.ts';
import { queryRow } from '../connection.ts';
import { connectionHost, runInTransaction } from '../host.ts';
import { usageSinceSample } from '../../catalog/index-usage.ts';
import redundantIndexes, { redundantIndexKind } from '../../steps/10-redundant-indexes.ts';
import unusedIndexes from '../../steps/06-unused-indexes.ts';
import { steps } from '../../steps/index.ts';
import { actionKey } from '../../steps/step.ts';
import type { Action, Context, Finding, Report } from '../../steps/step.ts';
import type { ActionRow, Refusal } from './action.ts';

/** Steps whose check reads the catalog only, with no samples to keep; the other findings need only be open still. */
const cheapToAsk: ReadonlySet<number> = new Set([2, 3, redundantIndexes.number]);

/** Of a redundant index, the oid of the one that does its work. */
export interface Wanted {
  ok: true;
  keeper: number | null;
}

const wanted: Wanted = { ok: true, keeper: null };

/** Whether the action is still wanted. What the check wrote is rolled back. */
export async function stillWanted(
  client: pg.ClientBase,
  action: ActionRow,
  index: { oid: number; valid: boolean },
): Promise<Wanted | Refusal> {
  const { open } = await queryRow<{ open: boolean }>(
    client,
    `select not exists (
       select from maint.finding as f where f.finding_id = $1 and f.resolved_at is not null) as open`,
    [action.finding_id],
  );
  if (!open) return { ok: false, outcome: 'expired', reason: 'the finding was gone before the action began' };
  // An index that an attempt of ours has made invalid is beyond being used: it is dropped to the end.
  const redundant = action.step_number === redundantIndexes.number;
  if (redundant && (!index.valid || action.evidence['explicit'] !== true)) return wanted;
  if (action.kind === 'drop_index' && action.step_number === unusedIndexes.number && index.valid)
    return (await neededSince(client, index.oid)) ?? (await stillUnused(client, index.oid)) ?? wanted;
  if (!cheapToAsk.has(action.step_number) || action.evidence['undoes'] !== undefined) return wanted;
  const report = await check(client, action.step_number);
  if (report === null) return wanted;
  const key = actionKey(action as unknown as Action);
  if (report.actions.some((each) => actionKey(each) === key && sameOid(each, action))) return wanted;
  const found = action.evidence['explicit'] === true ? stillFound(report, action) : undefined;
  if (found !== undefined) {
    if (!redundant) return wanted;
    const keeper = Number(found.detail['covered_by_oid']);
    return (await keeperLost(client, keeper, null)) ?? { ok: true, keeper };
  }
  const name = 'index' in action.target ? action.target.index : null;
  const undecided = (report.keepOpen ?? []).some(
    ({ schema, object }) => object === name && 'schema' in action.target && schema === action.target.schema,
  );
  return undecided
    ? { ok: false, outcome: 'later', reason: 'somebody works on the index or its table' }
    : { ok: false, outcome: 'expired', reason: 'the step that wanted it would not any more' };
}

/**
 * Why a redundant index is needed after all: the one that does its work is gone, is not usable, or is to be dropped itself. Null
 * where it does its work. In a transaction that keeps others from dropping indexes of the table, that stays true.
 */
export async function keeperLost(
  client: pg.ClientBase,
  keeper: number,
  tableOid: number | null,
): Promise<Refusal | null> {
  const { usable, dropped_by } = await queryRow<{ usable: boolean; dropped_by: number | null }>(
    client,
    `select exists (
         select from pg_catalog.pg_index as x
         where x.indexrelid = $1::oid and x.indrelid = coalesce($2::oid, x.indrelid)
           and x.indisvalid and x.indisready and x.indislive) as usable,
       (select pg_catalog.min(a.action_id)::float8 from maint.action as a
        where a.kind = 'drop_index' and a.status in ('queued', 'running')
          and (a.target ->> 'oid')::int8 = $1::int8) as dropped_by`,
    [keeper, tableOid],
  );
  if (!usable)
    return {
      ok: false,
      outcome: 'expired',
      reason: 'the index that made it redundant is gone or not valid',
    };
  if (dropped_by !== null)
    return {
      ok: false,
      outcome: 'later',
      reason: `the index that makes it redundant is to be dropped itself, by action ${dropped_by}`,
    };
  return null;
}

/**
 * An index that nobody scanned may only have been idle because another did its work: one that was dropped as redundant beside it,
 * or is to be. Its own counts say nothing of that, so it is judged again when a window has passed without the other one.
 */
async function neededSince(client: pg.ClientBase, oid: number): Promise<Refusal | null> {
  const { other } = await queryRow<{ other: string | null }>(
    client,
    `select pg_catalog.min(r.other) as other
     from (
       select pg_catalog.format('%I.%I', f.schema_name, f.object_name) as other
       from maint.finding as f
       where f.kind = $2 and f.resolved_at is null and (f.detail ->> 'covered_by_oid')::int8 = $1::int8
         and not exists (
           select from maint.finding_mute as m
           where m.finding_key = f.finding_key and m.until > pg_catalog.clock_timestamp())
       union all
       select pg_catalog.format('%I.%I', a.target ->> 'schema', a.target ->> 'index')
       from maint.action as a
       where a.kind = 'drop_index' and (a.evidence ->> 'covered_by_oid')::int8 = $1::int8
         and (a.status in ('queued', 'running')
           or a.status = 'succeeded' and a.finished_at > pg_catalog.clock_timestamp()
             - greatest((maint.config('features.index_cleanup.days_unused') #>> '{}')::int, 1) * interval '1 day')
     ) as r`,
    [oid, redundantIndexKind],
  );
  if (other === null) return null;
  return {
    ok: false,
    outcome: 'expired',
    reason: `it does the work of ${other}, which is redundant beside it: its own scans do not count that`,
  };
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
function stillFound(report: Report, { target }: ActionRow): Finding | undefined {
  return report.findings.find(
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
