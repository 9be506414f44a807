/** The role as which a statement is planned: what its names resolve in, and whether the worker may act for it. */
import type pg from 'pg';
import { queryRow } from '../connection.ts';

export interface PlannedRole extends Record<string, unknown> {
  oid: number;
  name: string;
  /** As its sessions in this database have it, with the role's own name for "$user". */
  search_path: string;
  /**
   * Has more rights than the owners of tables are trusted with: its statements are planned only where no code of a role
   * that is not trusted can run. A role too many in this set loses plans; one too few lends its rights to others.
   */
  privileged: boolean;
  /** The grant that is missing for the worker to act as this role; null where none is. */
  missing_grant: string | null;
}

/**
 * Predefined roles whose members are not privileged: what they may do is to read statistics and settings, or they own
 * the database, in which they may do anything anyway.
 */
const harmless = [
  'pg_monitor',
  'pg_read_all_settings',
  'pg_read_all_stats',
  'pg_stat_scan_tables',
  'pg_database_owner',
  'pg_use_reserved_connections',
];

/** Null where there is no such role any more. `client` is authenticated as the worker's login role. */
export async function plannedRole(client: pg.ClientBase, oid: number): Promise<PlannedRole | null> {
  const { row } = await queryRow<{ row: PlannedRole | null }>(
    client,
    `select (
       select pg_catalog.jsonb_build_object('oid', r.oid::int8, 'name', r.rolname,
         'search_path', pg_catalog.regexp_replace(coalesce((
             select pg_catalog.substr(c.setting, pg_catalog.length('search_path=') + 1)
             from pg_catalog.pg_db_role_setting as d, pg_catalog.unnest(d.setconfig) as c (setting)
             where d.setrole in (0, r.oid) and d.setdatabase in (0, (
                 select b.oid from pg_catalog.pg_database as b where b.datname = pg_catalog.current_database()))
               and c.setting like 'search\\_path=%'
             order by d.setrole <> 0 and d.setdatabase <> 0 desc, d.setrole <> 0 desc, d.setdatabase <> 0 desc
             limit 1), '"$user", public'),
           '"\\$user"|\\$user', pg_catalog.replace(pg_catalog.quote_ident(r.rolname), '\\', '\\\\'), 'g'),
         'privileged', r.rolsuper or r.rolcreaterole or r.rolreplication or r.rolbypassrls or exists (
           select from pg_catalog.pg_roles as o
           where pg_catalog.pg_has_role(r.oid, o.oid, 'member') and (
             o.rolsuper or o.rolcreaterole or o.rolreplication or o.rolbypassrls
             or o.oid < 16384 and o.rolname like 'pg\\_%' and o.rolname <> all ($2)
             or o.rolname = 'maint_operator'
             or o.oid = (select n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'maint'))),
         'missing_grant', case
           when s.rolsuper then null
           when not pg_catalog.pg_has_role(s.oid, r.oid,
             case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
             then pg_catalog.format('grant %I to %I;', r.rolname, s.rolname)
           when not pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'temporary')
             then pg_catalog.format('grant temporary on database %I to %I;', pg_catalog.current_database(), r.rolname)
           end)
       from pg_catalog.pg_roles as r, pg_catalog.pg_roles as s
       where r.oid = $1 and s.rolname = session_user) as row`,
    [oid, harmless],
  );
  return row;
}
