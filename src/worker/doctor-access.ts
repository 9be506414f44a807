/** What the role that asks can see of pg-maint: said before anything else, since all that follows depends on it. */
import type pg from 'pg';
import { queryRow } from './connection.ts';
import { ok } from './doctor-check.ts';
import type { Check } from './doctor-check.ts';
import { defaultOwner, schemaTrust, waysToTrust } from './trust.ts';
import type { SchemaTrust } from './trust.ts';

interface Access extends Record<string, unknown> {
  role: string;
  superuser: boolean;
  may_use: boolean;
  /** maint.status() exists. */
  has_status: boolean;
  may_status: boolean;
  may_run: boolean;
  owner_superuser: boolean;
  grants: string;
  database: string;
}

/** Where schema maint exists; by the catalog alone. */
const accessQuery = `
  select current_user::text as role, me.rolsuper as superuser, o.rolsuper as owner_superuser,
    pg_catalog.has_schema_privilege(n.oid, 'usage') as may_use, s.oid is not null as has_status,
    coalesce(pg_catalog.has_function_privilege(s.oid, 'execute'), false) as may_status,
    coalesce(pg_catalog.has_function_privilege(r.oid, 'execute'), false) as may_run,
    pg_catalog.format('grant maint_reader to %I;', current_user) as grants,
    pg_catalog.current_database()::text as database
  from pg_catalog.pg_namespace as n
  join pg_catalog.pg_roles as o on o.oid = n.nspowner
  join pg_catalog.pg_roles as me on me.rolname = current_user
  left join pg_catalog.pg_proc as s on s.pronamespace = n.oid and s.proname = 'status' and s.pronargs = 0
  left join pg_catalog.pg_proc as r on r.pronamespace = n.oid and r.proname = 'run' and r.pronargs = 3
  where n.nspname = 'maint'`;

export interface Looked {
  checks: Check[];
  /** Whether maint.status() may be called. */
  goOn: boolean;
}

/** Which role asks and what it may; whether pg-maint is there and can be asked. Calls nothing in schema maint. */
export async function checkAccess(client: pg.ClientBase): Promise<Looked> {
  const trust = await schemaTrust(client);
  if (trust.owner === null) {
    const { role, database } = await queryRow<{ role: string; database: string }>(
      client,
      'select current_user::text as role, pg_catalog.current_database()::text as database',
    );
    return {
      checks: [
        ok('role', `connected as ${role}`),
        problem('installation', `pg-maint is not installed in database ${database}`, 'pg-maint install URL'),
      ],
      goOn: false,
    };
  }
  const access = await queryRow<Access>(client, accessQuery);
  const role = ok('role', `connected as ${access.role}, which ${whatItMay(access, trust)}`);
  const bad = whyNot(access, trust);
  if (bad !== null) return { checks: [role, bad], goOn: false };
  return { checks: [role, checkOwner(trust.owner, access)], goOn: true };
}

function problem(about: string, says: string, fix: string | null): Check {
  return { about, status: 'problem', says, fix };
}

function whatItMay(access: Access, { owner, mayAct }: SchemaTrust): string {
  if (access.superuser) return 'is a superuser and may do everything';
  if (owner === access.role) return 'owns schema maint';
  if (mayAct) return `can act as ${String(owner)}, the owner of schema maint`;
  if (access.may_run) return 'may look, run maintenance and apply fixes';
  if (access.may_status) return 'may look; runs and fixes are for members of maint_operator';
  return 'may connect, and see nothing of pg-maint';
}

/** Why schema maint can't be asked; null where it can. */
function whyNot(access: Access, { owner, distrust }: SchemaTrust): Check | null {
  if (distrust !== null)
    return problem('owner', `${distrust}; nothing in it was called`, waysToTrust(String(owner)));
  if (access.has_status && !(access.may_use && access.may_status))
    return problem(
      'access',
      `pg-maint is installed, and ${access.role} may not look: it needs to be a member of maint_reader or maint_operator`,
      access.grants,
    );
  if (access.has_status) return null;
  return problem(
    'installation',
    'schema maint is there and pg-maint is not complete in it: maint.status() is missing',
    'pg-maint install URL',
  );
}

function checkOwner(owner: string, { owner_superuser }: Access): Check {
  if (!owner_superuser) return ok('owner', `${owner}, which is no superuser`);
  return {
    about: 'owner',
    status: 'advice',
    says: `${owner}, the owner of pg-maint, is a superuser: a mistake in pg-maint would have all rights`,
    fix: `pg-maint install --owner ${defaultOwner} URL`,
  };
}
