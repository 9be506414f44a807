/** Which pages of an index are read, and how sure their mean is. Without randomness: the seed comes in as input. */

/** Spreads a seed over 32 bits, so that neighbours have nothing in common (the finalizer of MurmurHash3). */
function mixed(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** A seed from what tells one look at an index from another: its oid and the time of the run. */
export function seedOf(oid: number, now: string): number {
  let seed = oid;
  for (let position = 0; position < now.length; position += 1) seed = mixed(seed ^ now.charCodeAt(position));
  return seed;
}

/**
 * One block out of each of `wanted` equal ranges of the blocks `first` to `last`, in their order; all of them where there
 * are no more. Where in its range is chance, for pages may be alike at regular distances.
 */
export function sampleBlocks(first: number, last: number, wanted: number, seed: number): number[] {
  const present = last - first + 1;
  if (present <= wanted) return Array.from({ length: Math.max(present, 0) }, (_, place) => first + place);
  return Array.from({ length: wanted }, (_, stratum) => {
    const from = Math.floor((stratum * present) / wanted);
    const to = Math.floor(((stratum + 1) * present) / wanted);
    return first + from + (mixed(seed ^ mixed(stratum + 1)) % (to - from));
  });
}

export interface Mean {
  mean: number;
  /** Standard error of the mean. */
  error: number;
}

/**
 * Mean of values that were drawn one from each of equal ranges, of `present` in all. Its variance is taken from the
 * differences of neighbours, who are as unlike as two of the same range would be, or more: what changes slowly from
 * one end of the index to the other adds nothing. (W. G. Cochran, Sampling Techniques, 3rd ed., 5A.12, collapsed strata, on
 * overlapping pairs.)
 */
export function meanOfStrata(values: readonly number[], present: number): Mean {
  const count = values.length;
  if (count === 0) return { mean: 0, error: 0 };
  let sum = 0;
  let squares = 0;
  let before: number | null = null;
  for (const value of values) {
    sum += value;
    if (before !== null) squares += (value - before) ** 2;
    before = value;
  }
  const unseen = Math.max(0, 1 - count / present);
  const variance = count > 1 ? squares / (2 * (count - 1)) : 0;
  return { mean: sum / count, error: Math.sqrt((variance / count) * unseen) };
}

/** What of all `y` there is to one of `x`, from pairs of both, with its standard error (Cochran, 6.3). */
export function ratioOf(pairs: readonly { x: number; y: number }[]): Mean {
  let x = 0;
  let y = 0;
  for (const pair of pairs) {
    x += pair.x;
    y += pair.y;
  }
  if (x === 0) return { mean: 1, error: 0 };
  const mean = y / x;
  const count = pairs.length;
  if (count < 2) return { mean, error: 0 };
  let squares = 0;
  for (const pair of pairs) squares += (pair.y - mean * pair.x) ** 2;
  return { mean, error: Math.sqrt(squares / (count * (count - 1))) / (x / count) };
}

/** Two-sided 95 % quantile of Student's t, to three digits from 3 degrees of freedom on (Cornish-Fisher expansion). */
export function studentQuantile(freedom: number): number {
  const z = 1.959964;
  if (freedom < 3) return freedom < 2 ? 12.706 : 4.303;
  const first = (z ** 3 + z) / 4 / freedom;
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96 / freedom ** 2;
  return z + first + second + (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384 / freedom ** 3;
}
