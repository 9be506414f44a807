/** Reads a leaf page of a B-tree as it lies on disk: its entries, and what they would take in a new index. */

const headerBytes = 24;
const specialBytes = 16;
export const linePointerBytes = 4;
const tupleHeaderBytes = 8;
/** Of one row's address. */
export const tidBytes = 6;

const pageIsLeaf = 1;
/** Deleted, meta or half-dead: none of these has entries. */
const pageIsNoTree = 4 | 8 | 16;

const pointerIsDead = 3;
const tupleHasAlternateTid = 0x2000;
const tupleSizeMask = 0x1fff;
const offsetIsPosting = 0x2000;
const offsetHasHeapTid = 0x1000;
const offsetCountMask = 0x0fff;

export const aligned = (bytes: number): number => (bytes + 7) & ~7;

/** The rows of one key: how many, and the size of a tuple that holds the key and one of them. */
export interface Group {
  tupleBytes: number;
  rows: number;
}

export interface LeafPage {
  /** Bytes of all entries and their line pointers without the high key, and how many of these are marked dead. */
  entryBytes: number;
  deadBytes: number;
  /** Of the high key with its line pointer; null on the rightmost page. */
  highKeyBytes: number | null;
  /** The live rows, those of equal keys together, in the order of the index. */
  groups: Group[];
  /** The last key goes on on the next page. */
  continues: boolean;
}

const base64Alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const base64Values = new Uint8Array(128);
for (let value = 0; value < base64Alphabet.length; value += 1)
  base64Values[base64Alphabet.charCodeAt(value)] = value;
const padding = '=';

/** As the server's encode(…, 'base64') writes it: in lines of a multiple of four characters. */
export function bytesOfBase64(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((text.length * 3) / 4));
  let length = 0;
  for (let line = 0; line < text.length;) {
    const feed = text.indexOf('\n', line);
    const end = feed === -1 ? text.length : feed;
    for (let place = line; place + 4 <= end; place += 4) {
      // An undefined value, of a character that is none of these, is 0 here.
      const bits =
        ((base64Values[text.charCodeAt(place)] as number) << 18) |
        ((base64Values[text.charCodeAt(place + 1)] as number) << 12) |
        ((base64Values[text.charCodeAt(place + 2)] as number) << 6) |
        (base64Values[text.charCodeAt(place + 3)] as number);
      bytes[length] = bits >> 16;
      bytes[length + 1] = bits >> 8;
      bytes[length + 2] = bits;
      length += 3;
    }
    line = end + 1;
  }
  const padded = text.endsWith(padding + padding) ? 2 : text.endsWith(padding) ? 1 : 0;
  return bytes.subarray(0, length - padded);
}

function sameBytes(page: Uint8Array, one: number, other: number, length: number): boolean {
  for (let place = 0; place < length; place += 1) if (page[one + place] !== page[other + place]) return false;
  return true;
}

/** Null where the page is no leaf with entries. Throws where it is none that this code can read. */
export function readLeafPage(page: Uint8Array): LeafPage | null {
  const at = (place: number): number => page[place] ?? 0;
  const short = (place: number): number => at(place) | (at(place + 1) << 8);
  const word = (place: number): number => (short(place) | (short(place + 2) << 16)) >>> 0;

  // A page that was never written is all zeros.
  if (short(14) === 0) return null;
  if ((short(18) & 0xff00) !== page.length || short(16) !== page.length - specialBytes) {
    throw new Error('the index page is not of a layout that is known here');
  }
  const special = page.length - specialBytes;
  const flags = short(special + 12);
  if ((flags & pageIsLeaf) === 0 || (flags & pageIsNoTree) !== 0) return null;

  const pointers = (short(12) - headerBytes) / linePointerBytes;
  const rightmost = word(special + 4) === 0;
  const read: LeafPage = { entryBytes: 0, deadBytes: 0, highKeyBytes: null, groups: [], continues: false };
  let group: Group = { tupleBytes: 0, rows: 0 };
  let keyStart = 0;
  let keyFlags = 0;
  for (let number = 0; number < pointers; number += 1) {
    const pointer = word(headerBytes + number * linePointerBytes);
    const start = pointer & 0x7fff;
    const bytes = aligned(pointer >>> 17) + linePointerBytes;
    const info = short(start + 6);
    const offset = short(start + 4);
    const alternate = (info & tupleHasAlternateTid) !== 0;
    if (number === 0 && !rightmost) {
      read.highKeyBytes = bytes;
      read.continues = alternate && (offset & offsetHasHeapTid) !== 0;
      continue;
    }
    read.entryBytes += bytes;
    if (((pointer >>> 15) & 3) === pointerIsDead) {
      read.deadBytes += bytes;
      continue;
    }
    const posting = alternate && (offset & offsetIsPosting) !== 0;
    const tupleBytes = posting ? (short(start) << 16) | short(start + 2) : info & tupleSizeMask;
    const rows = posting ? offset & offsetCountMask : 1;
    const flagsOfKey = info & ~tupleSizeMask & ~tupleHasAlternateTid;
    if (
      group.tupleBytes === tupleBytes &&
      keyFlags === flagsOfKey &&
      sameBytes(page, keyStart, start + tupleHeaderBytes, tupleBytes - tupleHeaderBytes)
    ) {
      group.rows += rows;
      continue;
    }
    group = { tupleBytes, rows };
    keyStart = start + tupleHeaderBytes;
    keyFlags = flagsOfKey;
    read.groups.push(group);
  }
  return read;
}
