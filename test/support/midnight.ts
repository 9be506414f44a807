import { setTimeout as sleep } from 'node:timers/promises';

const dayMs = 86_400_000;

/** Longer than any one test of days takes. */
const tooLateMs = 60_000;

/** What is kept by days is kept by those of UTC: a test that makes days pass begins after midnight, not just before. */
export async function awayFromMidnight(): Promise<void> {
  const left = dayMs - (Date.now() % dayMs);
  if (left < tooLateMs) await sleep(left + 100);
}
