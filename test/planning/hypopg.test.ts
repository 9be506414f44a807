/** hypopg is called with the rights of the login role, so that nobody may put other functions in place of its own meanwhile. */
import test from 'ava';
import type pg from 'pg';
import { hypopgSchema } from '../../src/worker/planning/planning-session.ts';
import { createDatabase } from '../support/database.ts';

test('the owner of its schema cannot drop it between the look at its functions and their call', async (t) => {
  const database = await createDatabase(t);
  const offered = await database.query(`select from pg_available_extensions where name = 'hypopg'`);
  if (offered.length === 0) {
    t.log('not tried: this server has no hypopg');
    t.pass();
    return;
  }
  const other = `owner_${database.name}`;
  await database.query(`create role ${other}; create schema tools authorization ${other}`);
  t.teardown(async () => {
    const client = await database.client();
    await client.query(`drop owned by ${other} cascade; drop role ${other}`);
  });
  await database.query('create extension hypopg schema tools');
  // A better match for a constant, and no member.
  await database.query(
    `create function tools.hypopg_create_index(name) returns record language sql as 'select 1, 2'`,
  );
  const calling = await database.client();
  const taking = await database.client();
  await taking.query(`set role ${other}; set lock_timeout = '200ms'`);
  await calling.query('begin');
  t.is(await hypopgSchema(calling), 'tools');
  const refused = await t.throwsAsync<pg.DatabaseError>(taking.query('drop schema tools cascade'));
  t.is(refused.code, '55P03');
  await calling.query('rollback');
  await taking.query('drop schema tools cascade');
  t.is(await hypopgSchema(calling), null);
});
