/**
 * Queues the scheduled run when it is due. Our own due time and not pg-boss's schedule: that is cron, which has no word
 * for "every 90 minutes" and means the clock by "every 30 minutes", while the interval here counts from the last run.
 */
import { queryRow } from '../connection.ts';
import type { Chore } from './chore.ts';

/** How late a run is noticed that became due without a word: because others have run, or a bypass was taken back. */
const lookEverySeconds = 60;

export default {
  name: 'schedule',
  for: 'worker',
  connection: 'shared',
  onSettings: true,
  everySeconds: () => lookEverySeconds,
  async run(client) {
    const { due } = await queryRow<{ due: { seconds: number | null } }>(
      client,
      'select maint.enqueue_due_runs() as due',
    );
    // One that is due has been queued just now.
    return due.seconds === null || due.seconds === 0 ? undefined : { againInSeconds: due.seconds };
  },
} satisfies Chore;
