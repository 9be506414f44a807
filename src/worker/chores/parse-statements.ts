/** Parses the texts that runs brought; those of its own snapshots a worker parses at once. */
import { parseTexts, textsAreWaiting } from '../parse-texts.ts';
import type { Chore } from './chore.ts';

/** How long a run may have to say "not parsed yet" of a statement that it saw first. */
const everySeconds = 20;

export default {
  name: 'parse statements',
  for: 'database',
  connection: 'own',
  everySeconds: (config) => (config['features.pattern_learning.enabled'] === true ? everySeconds : null),
  wanted: textsAreWaiting,
  async run(client, { signal }) {
    await parseTexts(client, signal);
    return undefined;
  },
} satisfies Chore;
