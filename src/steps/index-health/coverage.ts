/** Which indexes step 7 could not judge, and what would let it. */
import type { Tools } from '../../catalog/index-tools.ts';
import { examinedAllBut, unexaminedClass } from '../../core/coverage.ts';
import type { Coverage, Unexamined, UnexaminedReason } from '../../core/coverage.ts';
import type { Looked } from './look.ts';

/** The first words of a reason for people -> the reason of the contract. */
const reasons: Record<string, UnexaminedReason> = {
  not_installed: 'not_installed',
  not_permitted: 'not_permitted',
  locked: 'locked',
  budget: 'timed_out',
  timed_out: 'timed_out',
  failed: 'failed',
};

/** Null: it was measured, and the interval is too wide to decide. */
function reasonOf(notMeasured: string | null): UnexaminedReason {
  if (notMeasured === null) return 'undecided';
  const code = /^[a-z_]+(?=:|$)/.exec(notMeasured)?.[0] ?? '';
  return reasons[code] ?? (notMeasured.startsWith('nothing is known here') ? 'not_supported' : 'failed');
}

/** The extension that would measure it. */
function extensionFor(notMeasured: string | null): string | undefined {
  return /create extension (\w+)/.exec(notMeasured ?? '')?.[1];
}

const notCounted: Unexamined = {
  what: 'use of indexes',
  reason: 'not_counted',
  detail: 'track_counts is off: underutilized indexes are not known',
  remedy: 'alter system set track_counts = on; select pg_reload_conf();',
};

/** `judged` are those that are large enough to be. One that needs no measurement, as it has not changed, is examined. */
export function coverageOf(judged: readonly Looked[], tools: Tools): Coverage {
  const unknown = judged.filter((look) => look.judged.verdict === 'unknown');
  const groups = new Map<
    string,
    { reason: UnexaminedReason; extension: string | undefined; names: string[] }
  >();
  for (const { index, notMeasured } of unknown) {
    const reason = reasonOf(notMeasured);
    const extension = reason === 'not_installed' ? extensionFor(notMeasured) : undefined;
    const key = JSON.stringify([reason, extension]);
    const group = groups.get(key) ?? { reason, extension, names: [] };
    group.names.push(index.quoted);
    groups.set(key, group);
  }
  return examinedAllBut(judged.length, unknown.length, [
    ...[...groups.values()].flatMap(({ reason, extension, names }) =>
      extension === undefined
        ? unexaminedClass('bloat of indexes', reason, names)
        : unexaminedClass(
            `bloat of indexes, without ${extension}`,
            reason,
            names,
            `create extension ${extension};`,
          ),
    ),
    ...(tools.counts_tracked ? [] : [notCounted]),
  ]);
}
