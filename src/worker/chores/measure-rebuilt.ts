/** Measures rebuilt indexes as soon as no action is left to do, and once a minute while there are. */
import { measureRebuilt, rebuiltAreWaiting } from '../measure-rebuilt.ts';
import type { Chore } from './chore.ts';

const everySeconds = 60;
/** While a run, or another worker, is at it. */
const againInSeconds = 5;

export default {
  name: 'measure rebuilt',
  for: 'worker',
  connection: 'own',
  withActionsOnly: true,
  beforeLeaving: true,
  everySeconds: (config) => (config['features.index_health.enabled'] === true ? everySeconds : null),
  wanted: rebuiltAreWaiting,
  async run(client) {
    return (await measureRebuilt(client)) ? undefined : { againInSeconds };
  },
} satisfies Chore;
