/** Drops an index without holding anybody up. Its inverse builds it again with all that was set on it. */
import { sqlstate } from '../../core/sqlstate.ts';
import { asOwnerOf } from '../act-as.ts';
import { HeldUp, sqlstateOf } from '../errors.ts';
import { workerConfig } from '../worker-config.ts';
import { defineAction } from './action.ts';
import { indexByOid, wantedIndex } from './index-state.ts';
import { rememberTree } from './index-tree.ts';
import type { IndexState } from './index-state.ts';

function keptBecause(index: IndexState, explicit: boolean): string | null {
  if (index.temporary || index.system) return 'a temporary or system index is not dropped';
  if (index.kind === 'I' && !explicit)
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
    const explicit = action.evidence['explicit'] === true;
    const index = await wantedIndex(client, action, (each) => keptBecause(each, explicit));
    if ('ok' in index) return index;
    const tree = index.kind === 'I';
    return {
      ok: true,
      statement: `drop index ${tree ? '' : 'concurrently '}${index.quoted}`,
      inverse: tree
        ? { ...index.inverse, tree: (await rememberTree(client, index)).map((each) => ({ ...each })) }
        : index.inverse,
      sizeBefore: index.size_bytes,
      on: { tableOid: index.table_oid, need: 'own' },
      waitsOn: { tableOid: index.table_oid, lockers: 'all', snapshots: false },
      intent: { oid: index.oid, table_oid: index.table_oid, quoted: index.quoted, tree },
    };
  },

  async act(client, _action, plan) {
    const tableOid = plan.intent['table_oid'] as number;
    const drop = (): Promise<unknown> =>
      asOwnerOf(client, tableOid, 'own', () => client.query(plan.statement));
    if (plan.intent['tree'] !== true) {
      await drop();
      return;
    }
    // It locks the table and all its partitions, one after the other, and keeps what it has: all of that within the limit.
    const { lock_timeout } = await workerConfig(client);
    await client.query(`set statement_timeout = ${lock_timeout}`);
    try {
      await drop();
    } catch (error) {
      if (sqlstateOf(error) !== sqlstate.queryCanceled) throw error;
      throw new HeldUp('the locks on all partitions are not to be had at once', { cause: error });
    } finally {
      await client.query('set statement_timeout = 0');
    }
  },

  // A drop that was cut off has marked the index invalid at most: the next attempt, or the next run, completes it.
  async verify(client, action) {
    const left = await indexByOid(client, action.target.oid);
    return left === null
      ? { ok: true, sizeAfter: 0, reason: 'dropped' }
      : { ok: false, sizeAfter: left.size_bytes, reason: `${left.quoted} is still there` };
  },
});
