/** Makes the plans that step 8 wants for its suggestions. */
import { planRequests, plansAreWanted } from '../planning/plan-requests.ts';
import type { Chore } from './chore.ts';

/** How long the next run may have to say that no worker has planned a statement. */
const everySeconds = 20;

export default {
  name: 'plan statements',
  for: 'database',
  connection: 'own',
  everySeconds: (config) => (config['features.pattern_learning.enabled'] === true ? everySeconds : null),
  wanted: plansAreWanted,
  async run(client, { url, control, signal }) {
    await planRequests(client, { url, onlooker: control, signal });
    return undefined;
  },
} satisfies Chore;
