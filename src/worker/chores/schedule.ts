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
  async run(client, { log }) {
    const { due } = await queryRow<{ due: { seconds: number | null; corrected: number } }>(
      client,
      'select maint.enqueue_due_runs() as due',
    );
    if (due.corrected > 0)
      log(`the server's clock was set back: ${due.corrected} rows had times in the future, now corrected`);
    // One that is due has been queued just now.
    return due.seconds === null || due.seconds === 0 ? undefined : { againInSeconds: due.seconds };
  },
} satisfies Chore;
