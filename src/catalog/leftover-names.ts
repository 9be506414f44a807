/** Tells the leftovers of REINDEX CONCURRENTLY by name, as PostgreSQL makes those names. */

/** The two names REINDEX CONCURRENTLY gives; digits follow where the name was taken. */
const leftoverName = /^(?<base>.*)_(?<label>ccnew|ccold)(?<digits>\d*)$/s;

/** The server cuts names to NAMEDATALEN - 1 = 63 bytes, at a character's end: 60 with a four-byte character. */
const shortestCutNameBytes = 60;

export interface LeftoverName {
  base: string;
  label: 'ccnew' | 'ccold';
}

export function parseLeftoverName(name: string): LeftoverName | null {
  const groups = leftoverName.exec(name)?.groups;
  if (!groups) return null;
  return { base: groups['base'] ?? '', label: groups['label'] === 'ccold' ? 'ccold' : 'ccnew' };
}

/** Whether a leftover of this name may come from an index named `original`. */
export function isBaseOf(base: string, leftoverNameBytes: number, original: string): boolean {
  return original === base || (leftoverNameBytes >= shortestCutNameBytes && original.startsWith(base));
}
