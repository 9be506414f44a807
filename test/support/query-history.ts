/** A history whose clock the test sets. */
import type { TestDatabase } from './database.ts';

/** Moves all that is known of statements so many hours into the past. */
export async function passHours(database: TestDatabase, hours: number): Promise<void> {
  await database.query(
    `update maint.query_interval set started_at = started_at - make_interval(hours => $1),
       ended_at = ended_at - make_interval(hours => $1)`,
    [hours],
  );
  await database.query(
    `update maint.query_history_state set sampled_at = sampled_at - make_interval(hours => $1)`,
    [hours],
  );
  await database.query(
    `update maint.query_pattern set first_learned = first_learned - make_interval(hours => $1),
       last_learned = last_learned - make_interval(hours => $1), expires_at = expires_at - make_interval(hours => $1)`,
    [hours],
  );
  for (const table of ['workload_sample', 'table_workload'])
    await database.query(`update maint.${table} set hour = hour - make_interval(hours => $1)`, [hours]);
  await database.query(
    `update maint.workload_sample set started_at = started_at - make_interval(hours => $1),
       ended_at = ended_at - make_interval(hours => $1)`,
    [hours],
  );
  await database.query(
    'update maint.workload_state set sampled_at = sampled_at - make_interval(hours => $1)',
    [hours],
  );
}
