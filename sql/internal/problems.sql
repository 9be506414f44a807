-- What keeps this installation from doing its work, for maint.status: [{"problem", "detail", "fix"}], the gravest first.
-- engine_missing: the language of the checks, or the function written in it, is gone: dropped, or not there where a dump was
-- restored; runs are queued for a worker then. runs_waiting: runs are queued and no worker is alive. worker_version: a worker
-- of another version is alive.
create or replace function maint.problems()
returns jsonb
language sql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select coalesce(jsonb_agg(jsonb_build_object('problem', p.problem, 'detail', p.detail, 'fix', p.fix)
    order by p.position), '[]')
  from (
    select 1 as position, 'engine_missing' as problem,
      format(case when l.oid is null
          then 'this server has no language %s, in which the checks were installed: only a worker runs them now'
          else 'the function maint.dispatch, which holds the checks in %s, is missing: only a worker runs them now' end,
        i.engine) as detail,
      case when l.oid is null then format('create extension %I; -- then: pg-maint install URL; without it: ', i.engine)
        else '' end || 'pg-maint install URL' as fix
    from maint.installation as i
    left join pg_language as l on l.lanname = i.engine
    where i.engine <> 'worker' and to_regprocedure('maint.dispatch(jsonb)') is null
    union all
    select 2, 'runs_waiting', format('%s wait for a worker since %s, and none is alive',
        case count(*) when 1 then '1 run' else count(*) || ' runs' end, min(r.started_at)),
      'pg-maint worker --database URL'
    from maint.run_log as r
    where r.status = 'queued' and not exists (
      select from maint.worker as w where w.last_seen > clock_timestamp() - interval '90 seconds')
    having count(*) > 0
    union all
    select 3, 'worker_version', format('the database has pg-maint %s, and a worker on %s is %s', i.version,
        string_agg(distinct w.host, ', '), string_agg(distinct w.version, ', ')),
      format('pg-maint install URL, or install pg-maint %s there and start the worker again', i.version)
    from maint.installation as i
    join maint.worker as w on w.version <> i.version and w.last_seen > clock_timestamp() - interval '90 seconds'
    group by i.version
  ) as p
$function$;
comment on function maint.problems() is 'Internal: what keeps this installation from doing its work.';
