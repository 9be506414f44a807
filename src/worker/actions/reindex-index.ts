/** Builds an index anew beside itself and puts it in its place. The server carries over all that was set on it. */
import { isBaseOf, parseLeftoverName } from '../../catalog/leftover-names.ts';
import { defineAction } from './action.ts';
import { heldName } from './hold-name.ts';
import { builtIndex, dropLeftover, invalidIndexesOf, invalidOidsOf, wantedIndex } from './index-state.ts';
import type { IndexState } from './index-state.ts';

function keptBecause(index: IndexState): string | null {
  if (index.temporary || index.system) return "a temporary or system index can't be rebuilt concurrently";
  if (index.kind === 'I') return 'the indexes of the partitions are rebuilt one by one';
  if (index.exclusion) return "an exclusion constraint's index can't be rebuilt concurrently";
  return null;
}

/** Also one whose own drop was cut off with the session. */
function isLeftoverOf(left: IndexState, index: string): boolean {
  if (left.index === heldName(left)) return true;
  const parsed = parseLeftoverName(left.index);
  return parsed !== null && isBaseOf(parsed.base, Buffer.byteLength(left.index), index);
}

export default defineAction({
  kind: 'reindex_index',

  async prepare(client, action) {
    const index = await wantedIndex(client, action, keptBecause);
    if ('ok' in index) return index;
    const invalid = await invalidOidsOf(client, index.table_oid);
    return {
      ok: true,
      statement: `reindex index concurrently ${index.quoted}`,
      // The same index, built anew: there is nothing to bring back.
      inverse: null,
      sizeBefore: index.size_bytes,
      on: { tableOid: index.table_oid, need: 'maintain' },
      waitsOn: { tableOid: index.table_oid, lockers: 'all', snapshots: true },
      lockTimeout: 'build_lock_timeout',
      intent: {
        oid: index.oid,
        table_oid: index.table_oid,
        definition: index.definition,
        leftovers_before: invalid.filter((oid) => oid !== index.oid),
      },
    };
  },

  // The new index has the name and another oid from the swap on.
  async verify(client, { target }, plan) {
    const now = await builtIndex(client, target.schema, target.index);
    if (now === null) return { ok: false, sizeAfter: null, reason: 'the index is gone' };
    if (now.oid === plan.intent['oid'])
      return { ok: false, sizeAfter: now.size_bytes, reason: 'the index is still the old one' };
    if (now.table_oid !== plan.intent['table_oid'] || now.definition !== plan.intent['definition'])
      return { ok: false, sizeAfter: null, reason: `another index has its name now: ${now.definition}` };
    if (!now.usable) return { ok: false, sizeAfter: now.size_bytes, reason: `${now.quoted} is invalid` };
    return { ok: true, sizeAfter: now.size_bytes, reason: 'rebuilt' };
  },

  async cleanUp(client, { target }, plan) {
    const before = plan.intent['leftovers_before'] as number[];
    const removed: string[] = [];
    for (const left of await invalidIndexesOf(client, plan.intent['table_oid'] as number)) {
      if (before.includes(left.oid) || !isLeftoverOf(left, target.index)) continue;
      removed.push(await dropLeftover(client, left));
    }
    return removed;
  },
});
