/**
 * What a step could examine, and what not. A report that says nothing of a thing is read as "healthy", so that each step
 * names what it could not see, with one of these reasons.
 */

/**
 * How a reason counts. `gap`: it makes the step and the run partial, unless a person accepts it. `not_yet`: known later by
 * itself, such as a window that is not covered yet; partial runs for all of the first week would teach people to ignore
 * them. `chosen`: a person switched it off. All three are shown as not examined.
 */
export type Standing = 'gap' | 'not_yet' | 'chosen';

const standings = {
  /** The role lacks a right. */
  not_permitted: 'gap',
  /** The time budget was used up. */
  timed_out: 'gap',
  /** Another session holds a lock on it. */
  locked: 'gap',
  /** An extension is missing. */
  not_installed: 'gap',
  /** The server does not count it: track_counts, track_activities. */
  not_counted: 'gap',
  /** The server forgot it: a reset, a crash or an eviction. */
  lost: 'gap',
  /** It is done by the worker, and none is alive. */
  no_worker: 'gap',
  /** It happens where this server cannot see it, such as on a standby. */
  elsewhere: 'gap',
  /** To examine it would execute code of another role with our rights. */
  not_safe: 'gap',
  /** This version of pg-maint or of the server has no way to examine it. */
  not_supported: 'gap',
  /** What was measured does not decide it. */
  undecided: 'gap',
  failed: 'gap',
  not_yet: 'not_yet',
  insufficient_history: 'not_yet',
  disabled: 'chosen',
  bypassed: 'chosen',
  not_due: 'chosen',
  not_selected: 'chosen',
} as const satisfies Record<string, Standing>;

export type UnexaminedReason = keyof typeof standings;

export function standingOf(reason: UnexaminedReason): Standing {
  return standings[reason];
}

export interface Unexamined {
  /**
   * A class of things, or one named thing; without a number that changes from run to run, as a person accepts a gap by
   * this text.
   */
  what: string;
  reason: UnexaminedReason;
  /** How many, which, or why: free text for people. */
  detail?: string;
  /** A statement or a command that would let it be examined. */
  remedy?: string;
}

export interface Coverage {
  /** How many of the things that the step looks at it has examined. */
  examined: number;
  /** How many there are; null where that is not known. */
  of: number | null;
  unexamined: Unexamined[];
}

/** A step names this many things of a kind; the others are one line. */
export const namedThings = 20;

/** Of a step that sees all of its things or fails as a whole. */
export function examinedAll(count: number): Coverage {
  return { examined: count, of: count, unexamined: [] };
}

/** `total` things of which some could not be examined. */
export function examinedAllBut(total: number, missed: number, unexamined: readonly Unexamined[]): Coverage {
  return { examined: Math.max(0, total - missed), of: total, unexamined: [...unexamined] };
}

/**
 * One entry a reason for things that share a remedy: the first names are the detail. An empty list gives none.
 */
export function unexaminedClass(
  what: string,
  reason: UnexaminedReason,
  names: readonly string[],
  remedy?: string | null,
): Unexamined[] {
  if (names.length === 0) return [];
  const shown = names.slice(0, namedThings);
  const more = names.length - shown.length;
  const detail = `${names.length}: ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return [{ what, reason, detail, ...(remedy !== undefined && remedy !== null && { remedy }) }];
}

/** The same by reason: `names` of things that could not be examined for different reasons. */
export function unexaminedByReason(
  what: string,
  things: readonly { name: string; reason: UnexaminedReason }[],
): Unexamined[] {
  const reasons = [...new Set(things.map(({ reason }) => reason))].sort();
  return reasons.flatMap((reason) =>
    unexaminedClass(
      what,
      reason,
      things.filter((thing) => thing.reason === reason).map(({ name }) => name),
    ),
  );
}

/** The stable identity of a gap: what a person accepts. */
export function gapKey(stepNumber: number, { what, reason }: Unexamined): string {
  return JSON.stringify([stepNumber, what, reason]);
}

/** An entry as it is stored: with how it counted when the run looked. */
export type Stored = Unexamined & { standing: Standing | 'accepted' };

/** Entries with equal identity as one, and each with how it counts. `accepted`: keys of gaps that a person accepted. */
export function storedOf(
  stepNumber: number,
  unexamined: readonly Unexamined[],
  accepted: readonly string[],
): Stored[] {
  const stored = new Map<string, Stored>();
  for (const each of unexamined) {
    const key = gapKey(stepNumber, each);
    const standing = standingOf(each.reason);
    const known = stored.get(key);
    if (known) {
      const detail = [known.detail, each.detail].filter((text) => text !== undefined).join('; ');
      if (detail !== '') known.detail = detail;
      continue;
    }
    stored.set(key, {
      ...each,
      standing: standing === 'gap' && accepted.includes(key) ? 'accepted' : standing,
    });
  }
  return [...stored.values()];
}

/** The first reasons of a summary; maint.gaps has them all. */
const reasonsInSummary = 3;

/** "2 things not examined: structure of B-trees (not_installed), …"; null where all was examined or accepted. */
export function gapsText(stored: readonly Stored[]): string | null {
  const gaps = stored.filter(({ standing }) => standing === 'gap');
  if (gaps.length === 0) return null;
  const first = gaps.slice(0, reasonsInSummary).map(({ what, reason }) => `${what} (${reason})`);
  const more = gaps.length > first.length ? ` and ${gaps.length - first.length} more` : '';
  return `not examined: ${first.join(', ')}${more}`;
}
