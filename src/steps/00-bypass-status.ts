/** Step 0: what is bypassed, by whom, why and until when. Its finding is an alert: nothing is wrong, but not all runs. */
import { examinedAll } from '../core/coverage.ts';
import { defineStep } from './step.ts';
import type { Bypass, Json } from './step.ts';

function describe(bypass: Bypass): string {
  const until = bypass.until === 'infinity' ? 'permanently' : `until ${bypass.until}`;
  return `${bypass.feature} bypassed ${until} by ${bypass.bypassed_by}: ${bypass.reason}`;
}

export default defineStep({
  number: 0,
  name: 'bypass_status',
  title: 'Log bypass status',
  feature: null,
  kinds: [],
  config: {},
  interval: () => 0,
  unexamined: { bypass_status: { active: null } },

  // eslint-disable-next-line require-yield -- the guards have read the bypasses already: it asks nothing
  *check({ bypasses }) {
    return {
      result: { bypass_status: { active: bypasses as unknown as Json } },
      findings: [],
      alerts: bypasses.map((bypass) => ({
        severity: 'warning' as const,
        message: describe(bypass),
        detail: { ...bypass },
      })),
      actions: [],
      examined: [],
      coverage: examinedAll(bypasses.length),
    };
  },
});
