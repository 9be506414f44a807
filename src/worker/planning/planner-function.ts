/**
 * The function in which a statement is planned with the rights of its role. In a function with the rights of its owner the
 * server refuses SET ROLE and SET SESSION AUTHORIZATION, so that nothing in it gets the rights of the worker back.
 */
import pg from 'pg';
import type { PlannedRole } from './planned-role.ts';

/** Of one plan, in bytes. Folding may make a constant of any size. */
const largestPlan = 4_000_000;
const longestMessage = 500;

const signature = `pg_temp.explain_generic(pg_catalog.text, pg_catalog.int4, pg_catalog.text, pg_catalog.text)`;

/**
 * As maint.explain_generic, with every name qualified: the role's search_path may have types, functions and operators of
 * any name before those of the server. Everything is caught, so that an error says what it says in a bounded row.
 */
const body = `
declare
  counted pg_catalog.refcursor;
  plan pg_catalog.text;
  failure_state pg_catalog.text;
  failure_message pg_catalog.text;
begin
  begin
    if pg_catalog.strpos(query, ';') operator(pg_catalog.>) 0 then
      open counted for execute pg_catalog.concat('explain ',
        case when parameters operator(pg_catalog.=) 0 then query else as_null end);
      close counted;
    end if;
    if pg_catalog.current_setting('server_version_num')::pg_catalog.int4 operator(pg_catalog.>=) 160000 then
      execute pg_catalog.concat('explain (format json, verbose, generic_plan) ', query) into plan;
    elsif parameters operator(pg_catalog.=) 0 then
      execute pg_catalog.concat('explain (format json, verbose) ', query) into plan;
    else
      -- A function of the role may have taken the name.
      if exists (
        select from pg_catalog.pg_prepared_statements as p
        where p.name operator(pg_catalog.=) 'pg-maint plans this')
      then
        execute 'deallocate "pg-maint plans this"';
      end if;
      execute pg_catalog.concat('prepare "pg-maint plans this" as ', query);
      execute pg_catalog.concat('explain (format json, verbose) execute "pg-maint plans this" (',
        pg_catalog.repeat('null,', parameters operator(pg_catalog.-) 1), 'null)') into plan;
    end if;
    if plan is null then
      failure_state := 'PM000';
      failure_message := 'the server gave no plan';
    elsif pg_catalog.octet_length(plan) operator(pg_catalog.>) ${largestPlan} then
      plan := null;
      failure_state := '54000';
      failure_message := 'its plan has more than ${largestPlan} bytes';
    end if;
  exception
    when query_canceled or assert_failure or others then
      get stacked diagnostics failure_state = returned_sqlstate, failure_message = message_text;
      plan := null;
  end;
  return pg_catalog.json_build_object('plan', plan, 'own_plan', null, 'sqlstate', failure_state,
    'message', pg_catalog.left(failure_message, ${longestMessage}),
    'work_mem', pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')));
end`;

/**
 * Makes pg_temp.explain_generic for one role, in a session that ends with the role's statements. No code of the role has
 * run in the session before, so this transaction may be committed; none that comes after it may be.
 */
export async function makePlanner(client: pg.Client, role: PlannedRole): Promise<void> {
  await client.query(
    `create function pg_temp.explain_generic(query pg_catalog.text, parameters pg_catalog.int4, as_null pg_catalog.text,
       own pg_catalog.text) returns pg_catalog.json language plpgsql volatile security definer as ${pg.escapeLiteral(body)}`,
  );
  await client.query(`select pg_catalog.set_config('search_path', $1, true)`, [role.search_path]);
  await client.query(`alter function ${signature} set search_path from current`);
  await client.query('set local search_path = pg_catalog, pg_temp');
  await client.query(`alter function ${signature} owner to ${pg.escapeIdentifier(role.name)}`);
}
