/** Says that this worker is alive: maint.status() calls one dead that has been silent for three beats. */
import { beat, heartbeatEverySeconds } from '../heartbeat.ts';
import type { Chore } from './chore.ts';

export default {
  name: 'heartbeat',
  for: 'worker',
  withActionsOnly: true,
  connection: 'shared',
  everySeconds: () => heartbeatEverySeconds,
  async run(client, { workerId, version }) {
    await beat(client, workerId, version);
    return undefined;
  },
} satisfies Chore;
