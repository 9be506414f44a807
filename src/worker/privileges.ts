/** What a run can't examine with the rights of the role that owns pg-maint, and which statement would change that. */
import type pg from 'pg';

export interface PrivilegeNeed {
  need: string;
  have: boolean;
  /** Numbers of the steps it concerns. */
  steps: number[];
  /** What is `not_permitted` or `not_installed` without it. */
  purpose: string;
  /** The statement that gives it, as a superuser; null where it is had. */
  statement: string | null;
}

/** The needs of the steps that this installation has. Call it as the role that owns schema maint. */
export async function privilegeNeeds(client: pg.Client): Promise<PrivilegeNeed[]> {
  const { rows } = await client.query<PrivilegeNeed>(`
    with extension as (
      select a.name, e.oid is not null as exists, (
          select pg_catalog.bool_and(pg_catalog.has_function_privilege(p.oid, 'execute'))
          from pg_catalog.pg_proc as p
          where p.pronamespace = e.extnamespace and p.proname = a.probe) as may_execute,
        a.probe
      from (values ('amcheck', 'bt_index_check'), ('pageinspect', 'bt_page_stats'), ('pgstattuple', 'pgstatindex'),
        ('pg_stat_statements', 'pg_stat_statements')) as a (name, probe)
      left join pg_catalog.pg_extension as e on e.extname = a.name
    ), role as (
      select current_user as name, pg_catalog.current_setting('is_superuser')::boolean as superuser, exists (
          -- Only superusers read raw pages. What they let the owner read with goes through this schema.
          select from pg_catalog.pg_proc as p
          join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
          where n.nspname = 'maint_privileged' and pg_catalog.has_schema_privilege(n.oid, 'usage')
            and pg_catalog.has_function_privilege(p.oid, 'execute')) as privileged
    ), owners as (
      select pg_catalog.count(*) = 0 as all_ours,
        pg_catalog.string_agg(o.owner, ', ' order by o.owner) filter (where not o.superuser) as grantable
      from (
        select distinct pg_catalog.quote_ident(r.rolname) as owner, r.rolsuper as superuser
        from pg_catalog.pg_class as c
        join pg_catalog.pg_roles as r on r.oid = c.relowner
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
          -- A worker acts as the table's owner, which the role that it has logged in as must be able to.
          and not pg_catalog.pg_has_role(session_user, r.oid, 'member')
      ) as o
    ), needs (position, need, have, steps, purpose, statement) as (
      select 1, 'pg_monitor', pg_catalog.pg_has_role('pg_monitor', 'usage'), array[2, 3, 4, 5, 7, 8, 11, 13],
        'seeing what other roles'' sessions are doing, among it index builds in progress',
        pg_catalog.format('grant pg_monitor to %I;', r.name)
      from role as r
      union all
      select 2, 'pg_read_all_data', pg_catalog.pg_has_role('pg_read_all_data', 'usage'), array[1, 6, 7, 9, 14],
        'sequences, and statistics of tables that this role may not read',
        pg_catalog.format('grant pg_read_all_data to %I;', r.name)
      from role as r
      union all
      select 3, 'ownership of the tables', o.all_ours, array[2, 3, 6, 7, 9],
        'actions on the tables of others: dropping and rebuilding indexes, analyze',
        -- Never a superuser's role: that would give away everything.
        coalesce('grant ' || o.grantable || pg_catalog.format(' to %I;', session_user),
          '-- they belong to a superuser: give them another owner, or let a superuser own pg-maint')
      from role as r, owners as o
      union all
      select 4, e.name, case e.name
          when 'pageinspect' then e.exists and (r.superuser or r.privileged)
          else coalesce(e.exists and e.may_execute, false) end,
        case e.name when 'amcheck' then array[1] when 'pg_stat_statements' then array[8, 11, 17] else array[7] end,
        case e.name
          when 'amcheck' then 'the structure of B-tree indexes'
          when 'pageinspect' then 'index bloat from a sample of pages'
          when 'pgstattuple' then 'bloat of hash indexes, pending entries of GIN, and B-trees where pageinspect may not be used'
          else 'query patterns, workload, and the query-risk model' end,
        case when not e.exists then pg_catalog.format('create extension %I; ', e.name) else '' end
          || case when e.name = 'pageinspect' and not (r.superuser or r.privileged) then '-- then, as a superuser, for it reads raw pages: pg-maint install'
            when coalesce(e.may_execute, r.superuser) then ''
            when e.name = 'amcheck' then pg_catalog.format(
              'grant execute on function bt_index_check(regclass), bt_index_check(regclass, boolean) to %I;', r.name)
            else pg_catalog.format('grant pg_monitor to %I;', r.name) end
      from extension as e, role as r
    )
    select n.need, n.have, n.steps, n.purpose, case when not n.have then pg_catalog.btrim(n.statement) end as statement
    from (
      select n.position, n.need, n.have, n.purpose, n.statement, (
          select pg_catalog.array_agg(d.step_number order by d.step_number)
          from maint.step_definition as d where d.step_number = any (n.steps)) as steps
      from needs as n
    ) as n
    where n.steps is not null
    order by n.position, n.need`);
  return rows;
}
