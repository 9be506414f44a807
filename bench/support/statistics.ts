/** Figures of repeated measurements. */

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  if (value === undefined) throw new Error('no measurements');
  return value;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);
/** The least: other work on the machine only ever adds to a time. For ratios of two costs. */
export const least = (values: readonly number[]): number => quantile(values, 0);
export const p99 = (values: readonly number[]): number => quantile(values, 0.99);
export const p90 = (values: readonly number[]): number => quantile(values, 0.9);

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/**
 * Times several ways in turn, so that a busy moment of the machine hits all of them alike. With `warmUp` there is a
 * round before that does not count.
 */
export async function inTurn<Name extends string>(
  rounds: number,
  warmUp: boolean,
  ways: Record<Name, () => Promise<number>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(ways) as Name[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = warmUp ? -1 : 0; round < rounds; round += 1) {
    for (const name of names) {
      const time = await ways[name]();
      if (round >= 0) times[name].push(time);
    }
  }
  return times;
}
