/** Drops an index without holding anybody up. Its inverse builds it again with all that was set on it. */
import type pg from 'pg';
import { sqlstate } from '../../core/sqlstate.ts';
import { asOwnerOf } from '../act-as.ts';
import { HeldUp, MayNotAct, sqlstateOf } from '../errors.ts';
import { workerConfig } from '../worker-config.ts';
import { defineAction, RefusedUnderLock } from './action.ts';
import type { ActionRow, Refusal } from './action.ts';
import { dropHeld, dropStatements, giveNameBack, holdName } from './hold-name.ts';
import { indexByOid, wantedIndex } from './index-state.ts';
import { rememberTree } from './index-tree.ts';
import type { IndexState } from './index-state.ts';
import { recheck } from './recheck.ts';

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

interface Intent {
  oid: number;
  table_oid: number;
  quoted_name: string;
  tree: boolean;
}

const gone: Refusal = { ok: false, outcome: 'expired', reason: 'the index is gone' };

/** What has become of the index since the last probe, asked while nobody can drop an index of the table; null for nothing. */
async function changed(
  client: pg.ClientBase,
  action: ActionRow<'drop_index'>,
  before: IndexState,
): Promise<Refusal | null> {
  const now = await indexByOid(client, before.oid);
  if (now === null) return gone;
  const kept = keptBecause(now, action.evidence['explicit'] === true);
  if (kept !== null) return { ok: false, outcome: 'skipped', reason: kept };
  if (now.quoted !== before.quoted || now.definition !== before.definition)
    return { ok: false, outcome: 'expired', reason: `the index is another one now: ${now.definition}` };
  return await recheck(client, action, now, true);
}

/** An index of a partitioned table is not dropped concurrently: in the transaction that gave it its name. */
function withoutConcurrently(statement: string): string {
  return statement.replace(/^drop index concurrently /m, 'drop index ');
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
      statement: tree ? withoutConcurrently(dropStatements(index)) : dropStatements(index),
      inverse: tree
        ? { ...index.inverse, tree: (await rememberTree(client, index)).map((each) => ({ ...each })) }
        : index.table_kind === 't'
          ? null
          : index.inverse,
      sizeBefore: index.size_bytes,
      on: { tableOid: index.table_oid, need: 'own' },
      waitsOn: { tableOid: index.table_oid, lockers: 'all', snapshots: false },
      intent: {
        oid: index.oid,
        table_oid: index.table_oid,
        quoted_name: index.quoted_name,
        tree,
      },
    };
  },

  async act(client, action, plan) {
    const { oid, table_oid, tree } = plan.intent as unknown as Intent;
    const index = await indexByOid(client, oid);
    if (index === null) throw new RefusedUnderLock(gone);
    const refusal = (): Promise<Refusal | null> => changed(client, action, index);
    const drop = async (statement: string): Promise<void> => {
      await asOwnerOf(client, table_oid, 'own', () => client.query(statement));
    };
    if (!tree) {
      await holdName(client, index, refusal);
      await drop(dropHeld(index));
      return;
    }
    // It locks the table and all its partitions, one after the other, and keeps what it has: all of that within the limit.
    const { lock_timeout } = await workerConfig(client);
    await client.query(`set statement_timeout = ${lock_timeout}`);
    try {
      await holdName(client, index, refusal, () => drop(withoutConcurrently(dropHeld(index))));
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

  async cleanUp(client, _action, plan) {
    const { oid, quoted_name } = plan.intent as unknown as Intent;
    const left = await indexByOid(client, oid);
    if (left === null) return [];
    try {
      await giveNameBack(client, left, quoted_name);
    } catch (error) {
      if (sqlstateOf(error) !== sqlstate.duplicateTable) throw error;
      throw new MayNotAct(`${left.quoted} keeps that name, as another relation is called ${quoted_name} now`);
    }
    return [];
  },
});
