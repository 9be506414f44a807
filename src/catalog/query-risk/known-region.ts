/** How far a statement is from everything that the model was trained on. */
import { madeOnce } from '../../core/made-once.ts';
import { missing } from './trees.ts';

/**
 * Where the model has been: some statements it was trained on, each number divided by its scale, and how far apart
 * neighbours of different shape are there.
 */
export interface KnownRegion {
  scale: readonly number[];
  points: readonly (readonly number[])[];
  /** Half of the statements that it had not seen were nearer than this. */
  near: number;
  /** 19 of 20 of them were. */
  far: number;
}

export function scaled(features: readonly number[], scale: readonly number[]): number[] {
  return features.map((value, index) => (value === missing ? 0 : value) / (scale[index] ?? 1));
}

/** Root of the mean squared difference over all features. */
export function distance(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let index = 0; index < a.length; index += 1) sum += ((a[index] ?? 0) - (b[index] ?? 0)) ** 2;
  return Math.sqrt(sum / Math.max(1, a.length));
}

/** The points one after the other, in few cache lines: it is asked between other work that has used the caches. */
const packedOf = madeOnce(({ points }: KnownRegion) => Float64Array.from(points.flat()));

/** After so many features it is looked whether a point is too far away already: each look may be guessed wrong by the processor. */
const stride = 8;

/** To the nearest of the points; to any that is near, where one is; Infinity where all are twice as far as `far` or more. */
function leastDistance(region: KnownRegion, place: readonly number[]): number {
  const points = packedOf(region);
  const size = place.length;
  const nearEnough = region.near ** 2 * size;
  let least = (2 * region.far) ** 2 * size;
  let found = false;
  for (let start = 0; start < points.length && !(found && least <= nearEnough); start += size) {
    let sum = 0;
    for (let from = 0; from < size && sum < least; from += stride) {
      const to = Math.min(size, from + stride);
      for (let index = from; index < to; index += 1) {
        const difference = (place[index] ?? 0) - (points[start + index] ?? 0);
        sum += difference * difference;
      }
    }
    if (sum >= least) continue;
    least = sum;
    found = true;
  }
  return found ? Math.sqrt(least / Math.max(1, size)) : Infinity;
}

/** 1 up to `near`, 0.5 at `far`, 0 from twice as far on. A region is not to be changed after it was asked. */
export function confidenceOf(region: KnownRegion, features: readonly number[]): number {
  const { scale, near, far } = region;
  const nearest = leastDistance(region, scaled(features, scale));
  if (nearest <= near) return 1;
  if (nearest <= far) return 1 - (0.5 * (nearest - near)) / (far - near);
  return Math.max(0, 1 - nearest / (2 * far));
}
