/** Damage and workload that concern a whole server: a page on disk, old transaction ids, the catalog, statements. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { install } from '../../src/worker/install.ts';
import { makeIndexCorrupt, turnableIndex } from '../support/corrupt-index.ts';
import { run } from '../support/maintenance.ts';
import { parseTexts } from '../support/workload.ts';
import type { SetUp } from './fixtures.ts';

//! own server
//! config features.pattern_learning.slow_ms 20
//! config features.pattern_learning.fast_ms 10
//! config features.integrity_check.btree_recheck_days 1
//! integrity.checksum_failure database.shop : a page was damaged, and read
//! not integrity.checksum_failure database.postgres
//! integrity.transaction_id_age database.old : set back, as if nobody had vacuumed it for long
//! not integrity.transaction_id_age database.shop database.postgres database.template1
//! integrity.dangling_catalog_row catalog.pg_trigger
//! not integrity.dangling_catalog_row catalog.pg_index catalog.pg_constraint
//! integrity.constraint_index_invalid app.damaged.damaged_pkey
//! not integrity.constraint_index_invalid app.whole.whole_pkey
//! clean app.whole_pkey app.damaged_pkey
//! integrity.foreign_key_disabled app.child.child_fk : nothing looks for its rows
//! not integrity.foreign_key_disabled app.sound.sound_fk : a trigger of its owner is off, none of the key's
//! clean app.sound.sound_fk app.child_a app.sound_a
//! integrity.collation_version_drift app.drifted
//! not integrity.collation_version_drift app.kept
//! clean app.texts_drifted app.texts_kept
//! integrity.btree_structure app.turned : its operator class sorts the other way round since
//! not integrity.btree_structure app.straight
//! clean app.straight
//! integrity.maint_metadata maint.setting : of a key that no version knows
//! not integrity.maint_metadata maint.feature_bypass
//! query.slow_pattern app.slowly
//! not query.slow_pattern app.quickly app.once
//! clean app.slowly_pkey app.quickly_pkey app.once_pkey

const setUp: SetUp = async (database, _scope, cluster) => {
  await database.query('create extension amcheck');
  await database.query('create extension pg_stat_statements');
  await install(database.url);
  await database.query('create schema app');
  await database.query(`
    create table app.precious as select 1 as a from generate_series(1, 10);
    create table app.damaged (id int primary key); create table app.whole (id int primary key);
    create table app.child (a int constraint child_fk references app.whole); create index child_a on app.child (a);
    create table app.sound (a int constraint sound_fk references app.whole); create index sound_a on app.sound (a);
    create function app.noop() returns trigger language plpgsql as $$ begin return null; end $$;
    create trigger off after insert on app.sound execute function app.noop();
    alter table app.sound disable trigger off;
    alter table app.child disable trigger all;
    create collation app.drifted (provider = icu, locale = 'de'); create collation app.kept (provider = icu, locale = 'fr');
    create table app.texts (a text collate app.drifted, b text collate app.kept);
    create index texts_drifted on app.texts (a); create index texts_kept on app.texts (b);
    create table app.numbers as select g as a from generate_series(1, 5000) as g;
    create index straight on app.numbers (a);
    create table app.slowly (id int primary key); create table app.quickly (id int primary key);
    create table app.once (id int primary key);
    insert into app.slowly values (1); insert into app.quickly values (1); insert into app.once values (1)`);
  await database.query(`set search_path = app, public; ${turnableIndex('turned', 'app.numbers', 'a')}`);
  // The first snapshot: what was called before it counts for nothing.
  await run(database);

  const client = await database.client();
  for (let call = 0; call < 4; call += 1)
    await client.query('select pg_sleep(0.04) from app.slowly where id = 1');
  for (let call = 0; call < 40; call += 1) await client.query('select id from app.quickly where id = 1');
  await client.query('select pg_sleep(0.04) from app.once where id = 1');
  await run(database);
  await parseTexts(database.url);

  const [file] = await database.query<{ path: string }>(
    `select pg_relation_filepath('app.precious') as path`,
  );
  await cluster!.stop();
  const page = openSync(join(cluster!.data, file!.path), 'r+');
  writeSync(page, 'damage', 8000);
  closeSync(page);
  await cluster!.start();
  await database.query('select * from app.precious').catch(() => undefined);
  await database.query('select pg_stat_force_next_flush()');
  await database.query('create database old');
  await database.query(
    `update pg_database set datfrozenxid = ((pg_current_xact_id()::text::bigint - 1300000000 + 4294967296) % 4294967296)::text::xid
     where datname = 'old'`,
  );
  await database.query(`
    update pg_index set indisvalid = false where indexrelid = 'app.damaged_pkey'::regclass;
    create trigger lost after insert on app.numbers execute function app.noop();
    update pg_trigger set tgrelid = 1 where tgname = 'lost';
    update pg_collation set collversion = '1' where collname = 'drifted';
    insert into maint.setting (path, value) values ('features.no_longer', '1');
    update maint.index_check set checked_at = checked_at - interval '31 days'`);
  await database.query('set search_path = app, public; select 1');
  await makeIndexCorrupt(
    { ...database, query: (text) => database.query(`set search_path = app, public; ${text}`) },
    true,
  );
};

export default setUp;
