/** One look at the indexes: which have changed, what a measurement says, what is made of it. Written down before it returns. */
import { recordIndexes } from '../../catalog/index-history.ts';
import type { IndexRecord } from '../../catalog/index-history.ts';
import { indexInventory } from '../../catalog/index-inventory.ts';
import type { InventoryIndex } from '../../catalog/index-inventory.ts';
import { indexTools } from '../../catalog/index-tools.ts';
import type { Tools } from '../../catalog/index-tools.ts';
import { keepIndexIdentities } from '../../catalog/index-usage.ts';
import { clock } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import type { ObjectName } from '../step.ts';
import { byUrgency, changeOf } from './due.ts';
import type { Change } from './due.ts';
import { betterThan, measureIndexes } from './measure.ts';
import type { Measured } from './measurement.ts';
import type { IndexHealthConfig } from './settings.ts';
import { judge, outdatedShare } from './verdict.ts';
import type { Judged, Known } from './verdict.ts';

const bytesPerMegabyte = 1024 * 1024;

/** An index of this run: as it was found, and what came out. */
export interface Looked {
  index: InventoryIndex;
  change: Change;
  /** The settings as they hold for it. */
  own: IndexHealthConfig;
  /** Below the size from which indexes are judged. */
  small: boolean;
  measured: Measured | null;
  known: Known | null;
  judged: Judged;
  notMeasured: string | null;
}

export const sizeOf = ({ index }: Pick<Looked, 'index'>): number =>
  index.size_bytes ?? index.seen?.size_bytes ?? 0;

/** What is known of it after this run, whenever that was measured; null where it is nothing. */
function knownOf(index: InventoryIndex, measured: Measured | null): Known | null {
  if (measured?.ok === true) {
    const { method, bloatPercent, low, high, leafDensity } = measured;
    return { method, bloat_percent: bloatPercent, low, high, leaf_density: leafDensity };
  }
  const before = index.seen?.measured ?? null;
  return before?.relfilenode === index.relfilenode ? before : null;
}

function judgedOf(look: Omit<Looked, 'judged'>, days: number): Judged {
  const { index, change, own, small, measured, known, notMeasured } = look;
  if (small) return { verdict: 'healthy', why: 'smaller than min_size_mb: not judged' };
  if (known === null) return { verdict: 'unknown', why: notMeasured ?? 'not measured yet' };
  if (measured?.ok !== true && change.share > outdatedShare) {
    return {
      verdict: 'unknown',
      why: `much was written since it was measured; ${notMeasured ?? 'not measured again yet'}`,
    };
  }
  return judge(index, known, own.bloat_threshold, days);
}

function recordOf(look: Looked): IndexRecord {
  const { index, change, measured, judged, notMeasured } = look;
  return {
    usage_id: index.usage_id,
    relfilenode: index.relfilenode,
    size_bytes: sizeOf(look),
    table_writes: index.table_writes,
    writes_counter: index.writes_counter,
    scans: index.scans,
    rebuilt: change.rebuilt,
    sampled: isSample(look),
    measured:
      measured?.ok === true
        ? {
            method: measured.method,
            leaf_density: measured.leafDensity,
            bloat_percent: measured.bloatPercent,
            bloat_low: measured.low,
            bloat_high: measured.high,
            pages_read: measured.pagesRead,
            duration_ms: measured.milliseconds,
          }
        : null,
    not_measured: notMeasured,
    verdict: judged.verdict,
    why: judged.why,
  };
}

/** Whether there is anything to write: an index that is as it was costs nothing but the look. */
function isNews(look: Looked): boolean {
  const { index, judged, notMeasured } = look;
  const { seen } = index;
  // Of one that was locked when it was met first nothing is known.
  if (seen === null) return index.size_bytes !== null;
  return (
    isSample(look) ||
    seen.verdict !== judged.verdict ||
    seen.why !== judged.why ||
    seen.not_measured !== notMeasured
  );
}

function isSample({ index, change, measured }: Looked): boolean {
  return measured?.ok === true || (change.moved && index.size_bytes !== null);
}

export interface Looking {
  config: IndexHealthConfig;
  configFor(object: ObjectName): IndexHealthConfig;
  /** ISO 8601. */
  now: string;
}

export interface Look {
  looked: Looked[];
  tools: Tools;
  measured: number;
  pagesRead: number;
}

/** With `only`, at the indexes of these oids alone, changed or not. */
export function* lookAtIndexes({ config, configFor, now }: Looking, only?: readonly number[]): Program<Look> {
  yield* keepIndexIdentities(now);
  const tools = yield* indexTools();
  const inventory = yield* indexInventory(now, {
    minSizeMb: config.min_size_mb,
    windowDays: config.usage_days,
    blockSize: tools.block_size,
    only: only ?? null,
  });
  const better = betterThan(tools);
  const found = inventory.map((index) => {
    const own = configFor(index);
    const change = changeOf(index, tools.counts_tracked, better);
    return { index, change, own, small: sizeOf({ index }) < own.min_size_mb * bytesPerMegabyte };
  });
  const due = found
    .filter(({ index, change }) => (change.due || only !== undefined) && index.size_bytes !== null)
    .sort(byUrgency);
  const thresholds = new Map(found.map(({ index, own }) => [index.oid, own.bloat_threshold]));
  const { of: measurements, pagesRead } = yield* measureIndexes(
    due.map(({ index }) => index),
    tools,
    {
      now,
      budget: { pages: config.page_budget, deadline: (yield* clock()) + config.time_budget },
      thresholdOf: ({ oid }) => thresholds.get(oid) ?? config.bloat_threshold,
    },
  );
  const looked = found.map((each): Looked => {
    const { index, change } = each;
    const measured = measurements.get(index.oid) ?? null;
    const notMeasured = change.due ? whyNot(index, measured) : null;
    const look = { ...each, measured, known: knownOf(index, measured), notMeasured };
    return { ...look, judged: judgedOf(look, config.usage_days) };
  });
  yield* recordIndexes(looked.filter(isNews).map(recordOf), now);
  return { looked, tools, measured: [...measurements.values()].filter(({ ok }) => ok).length, pagesRead };
}

/** Why an index that has changed was not measured; null where it was. */
function whyNot(index: InventoryIndex, measured: Measured | null): string | null {
  if (index.size_bytes === null) return 'locked: somebody holds it or its table exclusively';
  if (measured === null) return 'budget: pages or time were used up before it';
  return measured.ok ? null : measured.reason;
}
