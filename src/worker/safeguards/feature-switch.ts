/** Nothing is done for a feature that was switched off after the action was queued, nor with maintenance off. */
import type { Safeguard } from './safeguard.ts';

const retryAfterSeconds = 60;

export const featureSwitch: Safeguard = {
  name: 'feature_switch',
  async check(client, action) {
    const { rows } = await client.query<{ path: string }>(
      `select s.path
       from (values
         (1, 'operational.maintenance_tasks.enabled'),
         (2, (select d.enabled_path from maint.step_definition as d where d.step_number = $1))) as s (rank, path)
       where s.path is not null and not maint.config(s.path)::boolean
       order by s.rank`,
      [action.step_number],
    );
    const [row] = rows;
    return row ? { allowed: false, reason: `${row.path} is false`, retryAfterSeconds } : { allowed: true };
  },
};
