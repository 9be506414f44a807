/**
 * Asks the step whose finding asked for an action whether it still would: the same judgement, not a copy of it. What the step writes
 * meanwhile is rolled back.
 */
import type pg from 'pg';
import { runAsync } from '../../core/drivers.ts';
import { configForObject, configOf } from '../../core/configuration.ts';
import type { SettingsSnapshot } from '../../core/configuration.ts';
import type { Program } from '../../core/program.ts';
import { queryRow } from '../connection.ts';
import { connectionHost } from '../host.ts';
import { usageSinceSample } from '../../catalog/index-usage.ts';
import redundantIndexes, { redundantIndexKind } from '../../steps/10-redundant-indexes.ts';
import unusedIndexes from '../../steps/06-unused-indexes.ts';
import { steps } from '../../steps/index.ts';
import { actionKey, findingKey } from '../../steps/step.ts';
import type { Action, Context, Finding, JsonObject, Report, Step } from '../../steps/step.ts';
import type { ActionRow, Refusal } from './action.ts';

/** The finding that asked for an action. */
interface Asked {
  key: string;
  kind: string;
  resolved: boolean;
  schema: string;
  detail: JsonObject;
}

interface Probed {
  oid: number;
  valid: boolean;
}

/**
 * Why the action is not wanted any more; null where it is. `index` is what it acts on, where that is one that is there. `locked`: asked in
 * a transaction that keeps others from adding or dropping indexes of the table, so that the answer stays true until it ends.
 * What was asked for without a finding, by a person or as an undo, is wanted as it is.
 */
export async function recheck(
  client: pg.ClientBase,
  action: ActionRow,
  index: Probed | null,
  locked = false,
): Promise<Refusal | null> {
  const asked = await askedBy(client, action);
  if (asked === null) return null;
  if (asked.resolved)
    return { ok: false, outcome: 'expired', reason: 'the finding was gone before the action began' };
  const step = steps.find(({ number }) => number === action.step_number);
  if (step === undefined || action.evidence['undoes'] !== undefined) return null;
  const dropsUseful = step.number === unusedIndexes.number || step.number === redundantIndexes.number;
  // An index that an attempt of ours has made invalid is beyond being used: it is dropped to the end.
  if (dropsUseful && index?.valid === false) return null;
  if (step.number === unusedIndexes.number && index !== null) {
    const used = (await neededSince(client, index.oid)) ?? (await stillUnused(client, index.oid, locked));
    if (used !== null) return used;
  }
  const report = await undone(client, locked, await checkOf(client, step, action));
  const found = report.findings.find((finding) => findingKey(finding) === asked.key);
  if (found !== undefined && isWanted(report, found, action))
    return step.number === redundantIndexes.number
      ? await keeperLost(client, asked.schema, found.detail)
      : null;
  return await refusalOf(client, step, report, asked);
}

async function askedBy(client: pg.ClientBase, action: ActionRow): Promise<Asked | null> {
  const { rows } = await client.query<Asked>(
    `select f.finding_key as key, f.kind, f.resolved_at is not null as resolved, coalesce(f.schema_name, '') as schema, f.detail
     from maint.finding as f where f.finding_id = $1`,
    [action.finding_id],
  );
  return rows[0] ?? null;
}

/** What a person asked for by maint.apply is done with auto_* off as well; what may not be dropped is not dropped for anybody. */
function isWanted(report: Report, found: Finding, action: ActionRow): boolean {
  const { target } = action;
  const onIndex = action.kind === 'drop_index' || action.kind === 'reindex_index';
  if (onIndex && 'oid' in target && found.detail['index_oid'] !== target.oid) return false;
  if (action.kind !== 'drop_index') return true;
  if (action.evidence['explicit'] === true) return found.detail['kept_because'] === undefined;
  const key = actionKey(action as unknown as Action);
  return report.actions.some((each) => actionKey(each) === key);
}

/** The step does not find it any more, or not for the same index; null where it could not look. */
async function refusalOf(
  client: pg.ClientBase,
  step: Step,
  report: Report,
  asked: Asked,
): Promise<Refusal | null> {
  if ((report.keepOpen ?? []).some((each) => findingKey(each) === asked.key)) {
    if (step.number === unusedIndexes.number)
      return { ok: false, outcome: 'expired', reason: 'whether it is unused is not known any more' };
    const passes = step.feature !== 'features.index_health';
    return passes
      ? { ok: false, outcome: 'later', reason: 'somebody works on the index or its table' }
      : null;
  }
  if (!report.examined.includes(asked.kind)) return null;
  if (step.number !== redundantIndexes.number)
    return { ok: false, outcome: 'expired', reason: `step ${step.name} does not ask for it any more` };
  const lost = await keeperLost(client, asked.schema, asked.detail);
  return (
    lost ?? {
      ok: false,
      outcome: 'skipped',
      reason: 'no index that stays does all of its work any more: no longer redundant',
    }
  );
}

/** Why the index that a redundant one was found beside does not do its work: it is gone, not valid, or to be dropped itself. Else null. */
async function keeperLost(
  client: pg.ClientBase,
  schema: string,
  detail: JsonObject,
): Promise<Refusal | null> {
  const { quoted, there, usable, dropped_by } = await queryRow<{
    quoted: string;
    there: boolean;
    usable: boolean;
    dropped_by: number | null;
  }>(
    client,
    `with recursive keeper (oid) as (
       select $1::oid
       union
       select i.inhparent from keeper as k join pg_catalog.pg_inherits as i on i.inhrelid = k.oid
     )
     select pg_catalog.format('%I.%I', $2::text, $3::text) as quoted,
       exists (select from pg_catalog.pg_index as x where x.indexrelid = $1::oid) as there,
       exists (
         select from pg_catalog.pg_index as x
         where x.indexrelid = $1::oid and x.indisvalid and x.indisready and x.indislive) as usable,
       (select pg_catalog.min(a.action_id)::float8 from maint.action as a
        where a.kind = 'drop_index' and a.status in ('queued', 'running')
          and (a.target ->> 'oid')::int8::oid in (select k.oid from keeper as k)) as dropped_by`,
    [detail['covered_by_oid'], schema, detail['covered_by']],
  );
  const because = !there
    ? 'is gone'
    : !usable
      ? 'is not valid'
      : dropped_by !== null
        ? `is to be dropped itself, by action ${dropped_by}`
        : null;
  return because === null
    ? null
    : { ok: false, outcome: 'skipped', reason: `${quoted} ${because}: no longer redundant` };
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
async function stillUnused(client: pg.ClientBase, oid: number, locked: boolean): Promise<Refusal | null> {
  const { standbys, scans, lost } = await undone(client, locked, usageSinceSample(oid));
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

/** Runs a program and rolls back what it wrote; within the transaction that is open where there is one. */
async function undone<Value>(
  client: pg.ClientBase,
  withinTransaction: boolean,
  program: Program<Value>,
): Promise<Value> {
  await client.query(withinTransaction ? 'savepoint recheck' : 'begin');
  try {
    return await runAsync(program, connectionHost(client));
  } finally {
    await client.query(
      withinTransaction ? 'rollback to savepoint recheck; release savepoint recheck' : 'rollback',
    );
  }
}

async function checkOf(client: pg.ClientBase, step: Step, action: ActionRow): Promise<Program<Report>> {
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
  return step.recheck === undefined ? step.check(context) : step.recheck(context, action);
}
