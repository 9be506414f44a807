/** Statements that would let the role of this session see more, with its name quoted by the server. */
import { queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';

/** Predefined roles that steps need; install grants them to the owner of schema maint. */
type PredefinedRole = 'pg_read_all_stats' | 'pg_read_all_data' | 'pg_stat_scan_tables' | 'pg_monitor';

/** `grant pg_read_all_stats to maint_owner;` */
export function grantOf(role: PredefinedRole): Program<string> {
  return queryOne<string>(
    `select pg_catalog.to_jsonb(pg_catalog.format('grant %I to %I;', $1::text, current_user)) as row order by 1`,
    [role],
  );
}

/** `grant execute on function public.bt_index_check(regclass) to maint_owner;` `signature` is quoted already. */
export function grantExecuteOn(signature: string): Program<string> {
  return queryOne<string>(
    `select pg_catalog.to_jsonb(pg_catalog.format('grant execute on function %s to %I;', $1::text, current_user)) as row
     order by 1`,
    [signature],
  );
}
