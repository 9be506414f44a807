/** Drops an index without holding anybody up. Its inverse builds it again with all that was set on it. */
import { defineAction } from './action.ts';
import { indexByOid, wantedIndex } from './index-state.ts';
import type { IndexState } from './index-state.ts';

function keptBecause(index: IndexState): string | null {
  if (index.temporary || index.system) return 'a temporary or system index is not dropped';
  if (index.kind === 'I')
    return 'an index of a partitioned table can only be dropped with locks on all partitions';
  if (index.constraint !== null) return `the constraint ${index.constraint} needs the index`;
  if (index.attached) return 'the index is attached to one of the partitioned table';
  if (index.extension !== null) return `the index belongs to the extension ${index.extension}`;
  if (index.replica_identity) return "the index is the table's replica identity";
  return null;
}

export default defineAction({
  kind: 'drop_index',

  async prepare(client, action) {
    const index = await wantedIndex(client, action, keptBecause);
    if ('ok' in index) return index;
    return {
      ok: true,
      statement: `drop index concurrently ${index.quoted}`,
      inverse: index.inverse,
      sizeBefore: index.size_bytes,
      waitsOn: { tableOid: index.table_oid, lockers: 'all', snapshots: false },
      intent: { oid: index.oid, quoted: index.quoted },
    };
  },

  // A drop that was cut off has marked the index invalid at most: the next attempt, or the next run, completes it.
  async verify(client, action) {
    const left = await indexByOid(client, action.target.oid);
    return left === null
      ? { ok: true, sizeAfter: 0, reason: 'dropped' }
      : { ok: false, sizeAfter: left.size_bytes, reason: `${left.quoted} is still there` };
  },
});
