/** Queue maint_action: one action from its claim to its outcome. */
import { execute } from '../execute.ts';
import type { Executed } from '../execute.ts';
import { HardLimitReached } from '../hard-limit.ts';
import { setAside } from '../set-aside.ts';
import { defineJob } from './job.ts';

interface ActionJob {
  action_id: number;
}

export default defineJob<ActionJob>({
  queue: 'maint_action',
  places: (concurrency) => concurrency,
  placeForPriority: true,
  keepsSessions: true,
  describe: ({ action_id }) => `action ${action_id}`,

  async perform(client, { action_id }, { workerId, signal, control, url, spoiled }) {
    let executed: Executed;
    try {
      executed = await execute(client, { actionId: action_id, workerId, signal, url, onlooker: control });
    } catch (error) {
      // The session was ended, so the outcome is recorded by another; where the worker stops, reconciliation settles it.
      if (!(error instanceof HardLimitReached) || error.because !== 'time') throw error;
      const { message } = error;
      await control.use((other) => setAside(other, action_id, message));
      spoiled();
      return null;
    }
    if (executed.failed === true) spoiled();
    if (!executed.done) {
      await client.query(`select maint.enqueue_action($1, $2::float8 * interval '1 s')`, [
        action_id,
        executed.seconds,
      ]);
    }
    return null;
  },

  /** One whose statement had begun is left to reconciliation, which knows what was done of it. */
  async giveUp(client, { action_id }, reason) {
    const { rowCount } = await client.query(
      `with given_up as (
         update maint.action as a set status = 'failed', outcome = 'given up: ' || $2::text, session_pid = null,
           session_started = null, finished_at = pg_catalog.clock_timestamp(),
           error = pg_catalog.jsonb_build_object('message', $2::text)
         where a.action_id = $1 and (a.status = 'queued' or a.status = 'running' and a.intent is null
           and not maint.session_alive(a.session_pid, a.session_started))
         returning a.action_id, a.kind)
       insert into maint.safeguard_event (action_id, kind, event, reason)
       select g.action_id, g.kind, 'failure', $2::text from given_up as g`,
      [action_id, reason],
    );
    return rowCount === 0 ? 'settled already, or another session is working on it' : 'recorded as failed';
  },
});
