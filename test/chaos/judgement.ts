/** What must hold when everything has recovered: each thing that does not, in words. */
import type pg from 'pg';
import { checksumQuery } from './load.ts';
import { isDone, statementsDone } from './subject.ts';
import type { Subject } from './subject.ts';

export interface Expected {
  /** How often the statement was still to come to its end when it was looked at; null where that is not known. */
  remaining: number | null;
  /** Of the rows that the writers know to be committed. */
  checksum: string;
}

async function problemsOfAction(
  client: pg.ClientBase,
  subject: Subject,
  expected: Expected,
): Promise<string[]> {
  const problems: string[] = [];
  const { rows } = await client.query<{
    status: string;
    outcome: string | null;
    attempts: number;
    begun: number;
    succeeded: number;
  }>(
    `select a.status, a.outcome, a.attempts,
       (select count(*)::int from maint.safeguard_event e where e.action_id = a.action_id and e.event = 'attempt') as begun,
       (select count(*)::int from maint.safeguard_event e where e.action_id = a.action_id and e.event = 'success') as succeeded
     from maint.action a where a.action_id = $1`,
    [subject.actionId],
  );
  const { status, outcome, attempts, begun, succeeded } = rows[0]!;
  if (status !== 'succeeded') problems.push(`the action is ${status}: ${outcome ?? ''}`);
  if (succeeded !== 1) problems.push(`${succeeded} successes are recorded`);
  if (begun !== attempts) problems.push(`${attempts} attempts, and ${begun} events of them`);
  if (attempts > 2) problems.push(`${attempts} attempts after one blow`);
  if (!(await isDone(client, subject))) problems.push(`the catalog does not show that it is done`);
  const done = await statementsDone(client, subject);
  if (expected.remaining !== null && done !== expected.remaining) {
    problems.push(`its statement came to its end ${done} more times, and ${expected.remaining} were to come`);
  }
  return problems;
}

async function problemsOfCatalog(client: pg.ClientBase, { kind }: Subject): Promise<string[]> {
  const problems: string[] = [];
  const { rows: invalid } = await client.query<{ name: string }>(
    `select indexrelid::regclass::text as name from pg_index
     where not (indisvalid and indisready and indislive) order by 1`,
  );
  problems.push(...invalid.map(({ name }) => `${name} is invalid`));
  const { rows: indexes } = await client.query<{ name: string }>(
    `select c.relname as name from pg_index x join pg_class c on c.oid = x.indexrelid
     where x.indrelid = 'chaos.ledger'::regclass order by 1`,
  );
  const names = indexes.map(({ name }) => name).join(', ');
  const wanted = kind === 'drop_index' ? 'ledger_pkey' : 'by_note, ledger_pkey';
  if (names !== wanted) problems.push(`the table has the indexes ${names}, and should have ${wanted}`);
  const { rows: others } = await client.query<{ said: string }>(
    `select format('action %s, %s of %s, is %s: %s', action_id, kind, target ->> 'index', status, outcome) as said
     from maint.action where status not in ('succeeded', 'expired') order by action_id`,
  );
  problems.push(...others.map(({ said }) => said));
  return problems;
}

async function problemsOfData(client: pg.ClientBase, { checksum }: Expected): Promise<string[]> {
  const problems: string[] = [];
  const { rows } = await client.query<{ checksum: string; broken: number }>(checksumQuery);
  if (rows[0]!.checksum !== checksum) problems.push('the table has not the rows that were committed');
  if (rows[0]!.broken > 0) problems.push(`${rows[0]!.broken} rows are not as they were computed`);
  const { rows: indexes } = await client.query<{ oid: number; name: string }>(
    `select indexrelid::int8::float8 as oid, indexrelid::regclass::text as name from pg_index
     where indrelid in ('chaos.ledger'::regclass, 'chaos.writer'::regclass) order by 1`,
  );
  for (const { oid, name } of indexes) {
    try {
      await client.query('select bt_index_check($1::oid, true)', [oid]);
    } catch (error) {
      problems.push(`${name}: ${(error as Error).message}`);
    }
  }
  return problems;
}

export async function problemsOf(
  client: pg.ClientBase,
  subject: Subject,
  expected: Expected,
): Promise<string[]> {
  return [
    ...(await problemsOfAction(client, subject, expected)),
    ...(await problemsOfCatalog(client, subject)),
    ...(await problemsOfData(client, expected)),
  ];
}
