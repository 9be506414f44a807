/** Results of two runs side by side. */
import type { Json } from '../../src/steps/step.ts';

/** What passes while nothing changes: times, and lengths of time. Everything else must be equal. */
const passing =
  /^(timestamp|run_id|duration_ms|engine|now|since|until|days(_low|_high)?|share_of_time(_not_kept)?|(.*_)?(seconds|hours|ms|at|start|since|age|duration))$/;

/** The same in the texts: figures beside a unit of time. */
const passingText = /\b\d+(\.\d+)? ?(ms|s|seconds?|minutes?|hours?|days?)\b/g;

/** Of the whole server, on which other tests are at work meanwhile; and of its disk, once a worker is there to look. */
const ofTheServer = new Set(['checksum_failure', 'free_disk', 'server_bytes']);

/** What a run moves itself: blocks that its checks look at. */
const movedByRuns = new Set(['blocks']);

function isMovedByRuns(value: Json): boolean {
  return (
    value !== null && typeof value === 'object' && Object.keys(value).some((key) => movedByRuns.has(key))
  );
}

/** A result without what differs between two runs of the same state: numbers, times, lengths of time. */
export function comparable(value: Json): Json {
  if (typeof value === 'string') return value.replace(passingText, 'some time');
  if (Array.isArray(value)) {
    const elements = value.map(comparable);
    // What is sorted by something that a run moves is in another order after it.
    return value.some(isMovedByRuns)
      ? elements.sort((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1))
      : elements;
  }
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, content]) => [
      key,
      passing.test(key) || ofTheServer.has(key) || movedByRuns.has(key) ? null : comparable(content),
    ]),
  );
}
