/**
 * How pages of B-trees are read: with pageinspect where the owner of schema maint is a superuser, otherwise by the functions of
 * maint_privileged, which give sizes and counts and no keys. Both ways give the same figures.
 */
import type { PageReader } from '../../catalog/index-tools.ts';
import { query } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import { aligned, bytesOfBase64, linePointerBytes, readLeafPage } from './btree-page.ts';
import type { LeafPage } from './btree-page.ts';

/** Pages as four arrays of one length: half of what an object for each would cost. */
export interface CountRow {
  oid: number;
  equal_images: boolean;
  /** Flags, free bytes, dead items and mean bytes of an item. A page never written has no size, and counts as deleted. */
  counted: [number[], number[], number[], number[]] | [null, null, null, null];
}

interface Blocks {
  oid: number;
  blocks: readonly number[];
}

const wantedIndexes = `pg_catalog.jsonb_to_recordset($1::pg_catalog.jsonb) as w (oid int8, blocks jsonb)`;
const blocksOfIndex = `pg_catalog.jsonb_array_elements_text(w.blocks) with ordinality as b (block, place)`;
const name = 'w.oid::pg_catalog.oid::pg_catalog.regclass::pg_catalog.text';

const countDirectly = (schema: string): string => `
  select pg_catalog.jsonb_build_object('oid', w.oid,
      'equal_images', (select m.allequalimage from ${schema}.bt_metap(${name}) as m),
      'counted', (
        select pg_catalog.jsonb_build_array(pg_catalog.array_agg(p.flags), pg_catalog.array_agg(p.free_size),
          pg_catalog.array_agg(p.dead_items), pg_catalog.array_agg(p.avg_item_size))
        from (
          select case when s.page_size = 0 then 4 else s.btpo_flags end + case when s.btpo_next = 0 then 65536 else 0 end
              as flags, s.free_size, s.dead_items, s.avg_item_size
          from ${blocksOfIndex}
          cross join lateral ${schema}.bt_page_stats(${name}, b.block::pg_catalog.int8) as s
          order by b.place
        ) as p)) as row
  from ${wantedIndexes}
  order by w.oid`;

const blockList = `array(
    select b.block::pg_catalog.int8 from ${blocksOfIndex} order by b.place)`;

const countPrivileged = `
  select pg_catalog.jsonb_build_object('oid', w.oid, 'equal_images', s.equal_images,
      'counted', pg_catalog.jsonb_build_array(s.flags, s.free_size, s.dead_items, s.avg_item_size)) as row
  from ${wantedIndexes}
  cross join lateral maint_privileged.btree_page_stats(w.oid::pg_catalog.oid, ${blockList}) as s
  order by w.oid`;

/** The statistics of pages of several indexes. */
export function countPages(wanted: readonly Blocks[], reader: PageReader): Program<CountRow[]> {
  return query<CountRow>(reader.privileged ? countPrivileged : countDirectly(reader.schema), [wanted]);
}

/** Whole pages in base64, as text: to make jsonb of so much, and read it, costs several times what reading the page does. */
const readDirectly = (schema: string): string => `
  select pg_catalog.encode(${schema}.get_raw_page(${name}, b.block::pg_catalog.int8), 'base64') as row
  from ${wantedIndexes}
  cross join lateral ${blocksOfIndex}
  order by w.oid, b.place`;

const readPrivileged = `
  select pg_catalog.jsonb_build_object('oid', w.oid, 'rightmost', l.rightmost, 'continues', l.high_key_continues,
      'entry_bytes', l.entry_bytes, 'single_bytes', l.single_bytes, 'row_count', l.row_count,
      'same_key', l.same_key, 'dead', l.marked_dead) as row
  from ${wantedIndexes}
  cross join lateral maint_privileged.btree_leaves(w.oid::pg_catalog.oid, ${blockList})
    with ordinality as l (rightmost, high_key_continues, entry_bytes, single_bytes, row_count, same_key, marked_dead, place)
  order by w.oid, l.place`;

interface LeafRow {
  oid: number;
  rightmost: boolean;
  continues: boolean;
  entry_bytes: number[] | null;
  single_bytes: number[] | null;
  row_count: number[] | null;
  same_key: boolean[] | null;
  dead: boolean[] | null;
}

function leafOf(row: LeafRow): LeafPage {
  const leaf: LeafPage = {
    entryBytes: 0,
    deadBytes: 0,
    highKeyBytes: null,
    groups: [],
    continues: row.continues,
  };
  // Whether all entries since the last live one have its key.
  let unbroken = false;
  for (const [place, entryBytes] of (row.entry_bytes ?? []).entries()) {
    const bytes = aligned(entryBytes) + linePointerBytes;
    if (place === 0 && !row.rightmost) {
      leaf.highKeyBytes = bytes;
      continue;
    }
    const tupleBytes = row.single_bytes?.[place] ?? entryBytes;
    const rows = row.row_count?.[place] ?? 1;
    unbroken = unbroken && row.same_key?.[place] === true;
    leaf.entryBytes += bytes;
    if (row.dead?.[place] === true) {
      leaf.deadBytes += bytes;
      continue;
    }
    const group = leaf.groups.at(-1);
    if (unbroken && group?.tupleBytes === tupleBytes) group.rows += rows;
    else leaf.groups.push({ tupleBytes, rows });
    unbroken = true;
  }
  return leaf;
}

/** What lies on leaf pages of several indexes, by oid and in the order of the blocks; pages of other kinds are left out. */
export function* readLeaves(wanted: readonly Blocks[], reader: PageReader): Program<Map<number, LeafPage[]>> {
  const leaves = new Map<number, LeafPage[]>(wanted.map(({ oid }) => [oid, []]));
  if (reader.privileged) {
    for (const row of yield* query<LeafRow>(readPrivileged, [wanted])) leaves.get(row.oid)?.push(leafOf(row));
    return leaves;
  }
  const pages = yield* query<string>(readDirectly(reader.schema), [wanted]);
  let taken = 0;
  for (const { oid, blocks } of [...wanted].sort((one, other) => one.oid - other.oid)) {
    for (const page of pages.slice(taken, taken + blocks.length)) {
      const leaf = readLeafPage(bytesOfBase64(page));
      if (leaf !== null) leaves.get(oid)?.push(leaf);
    }
    taken += blocks.length;
  }
  return leaves;
}
