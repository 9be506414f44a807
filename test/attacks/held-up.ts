/** What holds others up, and the honest work that must go on meanwhile. */
import type pg from 'pg';
import { waitForRow } from '../support/maintenance.ts';
import type { Arena } from './arena.ts';

/** A function that catches every cancel. `when` says in whose sessions it does: never in those of the attacker itself. */
export const hanging = (name: string, when: string): string => `
  create function evil.${name}(int) returns int language plpgsql immutable as $f$
  begin
    if ${when} then
      loop begin perform pg_sleep(3600); exception when query_canceled then null; end; end loop;
    end if;
    return $1;
  end $f$`;

export async function honestTable(place: Arena): Promise<void> {
  await place.database.query(`create schema shop; create table shop.c (a int, b int);
    insert into shop.c select g, g from generate_series(1, 2000) g; create index c_1 on shop.c (a); create index c_2 on shop.c (a)`);
}

/** Drops the redundant index of the honest table by run, apply and worker. */
export async function honestDrop(place: Arena): Promise<void> {
  const found = `select from maint.findings where kind = 'index.redundant' and schema_name = 'shop'`;
  // A run that a worker does may still be under way, and then this one is skipped.
  while ((await place.database.query(found)).length === 0) await place.run(['redundant_indexes']);
  await place.database.query(
    `select maint.apply(finding_id) from maint.findings where kind = 'index.redundant' and schema_name = 'shop'`,
  );
  await waitForRow(
    place.database,
    `select from maint.actions where status = 'succeeded' and table_name = 'c'`,
    [],
    60,
  );
}

/** Sessions of the attacker that hold locks until the end of the test. */
export async function hold(place: Arena, ...statements: string[]): Promise<pg.Client> {
  const client = await place.as('evil');
  for (const statement of statements) await client.query(statement);
  return client;
}
