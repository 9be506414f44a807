/** Maintenance windows: when they are open, when the next one opens. Local wall-clock time, as people mean it. */

const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const minutesPerDay = 1440;
const minutesPerWeek = 7 * minutesPerDay;

export interface Window {
  /** Days it begins on, 1 (Monday) to 7. */
  days: readonly number[];
  /** Minutes after midnight; `to` is beyond 1440 where it crosses it. */
  from: number;
  to: number;
}

/** What the clock on the wall shows. */
export interface LocalTime {
  /** 1 (Monday) to 7. */
  day: number;
  /** Minutes after midnight. */
  minute: number;
}

/** Null for what is no window. */
export function parseWindow(text: string): Window | null {
  const match = /^\s*(?:([a-z,\s]+?)\s+)?(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*$/i.exec(text);
  if (!match) return null;
  const names = match[1]?.toLowerCase().split(/[\s,]+/) ?? days;
  const numbers = names.map((name) => days.indexOf(name) + 1);
  const minuteOf = (hours: string | undefined, minutes: string | undefined): number =>
    Number(minutes) < 60 ? Number(hours) * 60 + Number(minutes) : Number.NaN;
  const from = minuteOf(match[2], match[3]);
  const end = minuteOf(match[4], match[5]);
  if (numbers.includes(0) || !(from < minutesPerDay) || !(end <= minutesPerDay) || from === end) return null;
  return { days: numbers, from, to: end > from ? end : end + minutesPerDay };
}

export type WindowState =
  /** Open since so many minutes, by the clock on the wall: the one that has been open longest. */
  { open: true; sinceMinutes: number } | { open: false; opensInMinutes: number };

/** Whether any is open now. Without any window it is never open. */
export function stateOf(windows: readonly Window[], { day, minute }: LocalTime): WindowState {
  const now = (day - 1) * minutesPerDay + minute;
  let since = -1;
  let next = minutesPerWeek;
  for (const window of windows) {
    for (const begins of window.days) {
      const start = (begins - 1) * minutesPerDay + window.from;
      const passed = (now - start + minutesPerWeek) % minutesPerWeek;
      if (passed < window.to - window.from) since = Math.max(since, passed);
      next = Math.min(next, (start - now + minutesPerWeek) % minutesPerWeek);
    }
  }
  return since >= 0 ? { open: true, sinceMinutes: since } : { open: false, opensInMinutes: next };
}

/**
 * Minutes that are left of the windows that are open now, or that the longest one has; with no window, a day. What begins
 * later than that is not done before it closes.
 */
export function minutesToUse(windows: readonly Window[], { day, minute }: LocalTime): number {
  if (windows.length === 0) return minutesPerDay;
  const now = (day - 1) * minutesPerDay + minute;
  let left = 0;
  let longest = 0;
  for (const window of windows) {
    const length = window.to - window.from;
    longest = Math.max(longest, length);
    for (const begins of window.days) {
      const passed = (now - (begins - 1) * minutesPerDay - window.from + minutesPerWeek) % minutesPerWeek;
      if (passed < length) left = Math.max(left, length - passed);
    }
  }
  return left > 0 ? left : longest;
}
