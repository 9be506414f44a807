/** Takes up what a worker or server that ended has left: at start, once a minute, and soon after a job has failed. */
import { endLeftoverSessions } from '../hard-limit.ts';
import { reconcile } from '../reconcile.ts';
import type { Chore } from './chore.ts';

/** While another's statement goes on, or one of ours has lost its connection. */
export const reconcileSoonSeconds = 3;

export default {
  name: 'reconcile',
  for: 'worker',
  withActionsOnly: true,
  connection: 'own',
  everySeconds: () => 60,
  async run(client, { log, actionsUnderWay }) {
    const left = await endLeftoverSessions(client);
    if (left > 0) log(`ended ${left} sessions that a worker before this one left`);
    const { settled, underWay } = await reconcile(client);
    for (const line of settled) log(line);
    return underWay > actionsUnderWay() ? { againInSeconds: reconcileSoonSeconds } : undefined;
  },
} satisfies Chore;
