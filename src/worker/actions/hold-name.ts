/**
 * DROP INDEX CONCURRENTLY takes a name, waits for locks, and runs in no transaction: by then the name may be another index's. So the
 * index first gets a name made of its oid, in a transaction that shows that it was the one meant, and is dropped by that name. Where
 * the table's owner may not create anything in the schema, and so rename nothing, it is looked at in that transaction and dropped
 * by its own name: between the two, only who may create there and owns the table's indexes as well could put another in its place.
 */
import type pg from 'pg';
import { asOwnerOf } from '../act-as.ts';
import { inTransaction, queryRow } from '../connection.ts';
import { RefusedUnderLock } from './action.ts';
import type { Refusal } from './action.ts';
import type { IndexState } from './index-state.ts';

/** What of an index is needed for that. */
type Held = Pick<
  IndexState,
  | 'oid'
  | 'table_oid'
  | 'table_kind'
  | 'renamable'
  | 'index'
  | 'quoted'
  | 'quoted_table'
  | 'quoted_schema'
  | 'quoted_name'
>;

/** The name by which an index is dropped. */
export function heldName({ oid }: { oid: number }): string {
  return `maint_drop_${oid}`;
}

/** The statement that drops an index whose name is held. */
export function dropHeld(index: Held): string {
  return `drop index concurrently ${index.renamable ? `${index.quoted_schema}.${heldName(index)}` : index.quoted}`;
}

/** The statement that gives an index the name by which it is dropped. */
function holdStatement(index: Held): string {
  return `alter index ${index.quoted} rename to ${heldName(index)}`;
}

/**
 * Gives the index the name by which it is dropped. `refusal` looks at it once more, while nobody can drop or add an index of the table
 * (which of a materialized view or a TOAST table cannot be locked); where it gives one, or the name was another index's, nothing has changed
 * and RefusedUnderLock is thrown. `then` is done in the same transaction.
 */
export async function holdName(
  client: pg.Client,
  index: Held,
  refusal: () => Promise<Refusal | null> = () => Promise.resolve(null),
  then: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  await inTransaction(client, async () => {
    if (index.table_kind !== 'm' && index.table_kind !== 't')
      await asOwnerOf(client, index.table_oid, 'own', () =>
        client.query(`lock table only ${index.quoted_table} in share update exclusive mode`),
      );
    const refused = await refusal();
    if (refused !== null) throw new RefusedUnderLock(refused);
    if (index.renamable)
      await asOwnerOf(client, index.table_oid, 'own', () => client.query(holdStatement(index)));
    // Until now another index may have had the name; from now to the end of the transaction nobody can rename this one.
    const { held } = await queryRow<{ held: boolean }>(
      client,
      `select exists (
         select from pg_catalog.pg_class as c
         join pg_catalog.pg_index as x on x.indexrelid = c.oid
         join pg_catalog.pg_class as t on t.oid = x.indrelid
         join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
         where c.oid = $1::oid and c.relname = $2 and x.indrelid = $3::oid
           and pg_catalog.format('%I.%I', n.nspname, t.relname) = $4) as held`,
      [index.oid, index.renamable ? heldName(index) : index.index, index.table_oid, index.quoted_table],
    );
    if (!held)
      throw new RefusedUnderLock({
        ok: false,
        outcome: 'expired',
        reason: 'another index or table has that name now',
      });
    await then();
  });
}

/** What drops an index, as it is written down. */
export function dropStatements(index: Held): string {
  return index.renamable ? `${holdStatement(index)};\n${dropHeld(index)}` : dropHeld(index);
}

/** Gives an index that was not dropped its own name back; where it has that, or is gone, nothing is done. */
export async function giveNameBack(
  client: pg.Client,
  index: Pick<IndexState, 'index' | 'oid' | 'table_oid' | 'quoted'>,
  quotedName: string,
): Promise<void> {
  if (index.index !== heldName(index)) return;
  await asOwnerOf(client, index.table_oid, 'own', () =>
    client.query(`alter index ${index.quoted} rename to ${quotedName}`),
  );
}
