-- What step 1 finds by looking at the catalog, and what it must not.
create schema app;
create table app.one (id int primary key, big bigint unique);
--! clean app.one_pkey app.one_big_key
create table app.checked (a int, b int, c int, constraint checked_a check (a > 0), constraint checked_b check (b > 0) not valid);
insert into app.checked values (1, 1, 1);
alter table app.checked add constraint checked_c check (c > 0) not valid;
alter table app.checked validate constraint checked_b;
--! integrity.constraint_not_valid app.checked.checked_c
--! clean app.checked.checked_a app.checked.checked_b
--! not integrity.constraint_not_valid app.checked.checked_b
create table app.mismatch (a bigint constraint mismatch_a references app.one, b int constraint mismatch_b references app.one (big),
  c int constraint mismatch_c references app.one);
create index mismatch_a_idx on app.mismatch (a);
create index mismatch_b_idx on app.mismatch (b);
create index mismatch_c_idx on app.mismatch (c);
--! integrity.foreign_key_type_mismatch app.mismatch.mismatch_b
--! clean app.mismatch.mismatch_a app.mismatch.mismatch_c app.mismatch_a_idx app.mismatch_b_idx app.mismatch_c_idx
--! not integrity.foreign_key_type_mismatch app.mismatch.mismatch_c app.mismatch.mismatch_a : a wider referring column holds every value
create domain app.number as int;
create table app.domained (a app.number constraint domained_a references app.one);
create index domained_a_idx on app.domained (a);
--! clean app.domained.domained_a app.domained_a_idx
create sequence app.nearly as smallint;
select setval('app.nearly', 32000) is null;
create sequence app.turning as smallint cycle;
select setval('app.turning', 32000) is null;
create sequence app.young as smallint;
--! integrity.sequence_near_end app.nearly
--! clean app.young app.turning
--! not integrity.sequence_near_end app.young app.turning
create sequence app.wide;
create table app.narrow (id smallint default nextval('app.wide'));
alter sequence app.wide owned by app.narrow.id;
select setval('app.wide', 32000) is null;
--! integrity.sequence_near_end app.wide : below its own maximum, above its column's

-- Widths and casts of keys: only what cannot hold a referenced value, or cannot use an index, is a mismatch.
create table app.far (number numeric primary key, price numeric(10, 2) unique, word text unique, code varchar(20) unique, padded char(8) unique,
  day date unique, moment timestamp unique, small smallint unique);
--! clean app.far_pkey app.far_price_key app.far_word_key app.far_code_key app.far_padded_key app.far_day_key app.far_moment_key app.far_small_key
create table app.near (number int constraint near_number references app.far, price numeric(9, 2) constraint near_price references app.far (price),
  tenths numeric(20, 1) constraint near_tenths references app.far (price), word varchar(9) constraint near_word references app.far (word),
  code varchar(19) constraint near_code references app.far (code), padded char(7) constraint near_padded references app.far (padded),
  blanks char(30) constraint near_blanks references app.far (code), day date constraint near_day references app.far (moment));
create index near_price_idx on app.near (price);
create index near_tenths_idx on app.near (tenths);
create index near_word_idx on app.near (word);
create index near_code_idx on app.near (code);
create index near_padded_idx on app.near (padded);
create index near_day_idx on app.near (day);
--! clean app.near_price_idx app.near_tenths_idx app.near_word_idx app.near_code_idx app.near_padded_idx app.near_day_idx
--! integrity.foreign_key_type_mismatch app.near.near_number app.near.near_price app.near.near_tenths app.near.near_word
--! integrity.foreign_key_type_mismatch app.near.near_code app.near.near_padded app.near.near_blanks app.near.near_day
--! fk.unindexed app.near.near_number app.near.near_blanks
create domain app.code as varchar(20);
create domain app.long_code as app.code;
create table app.roomy (number numeric(38, 4) constraint roomy_number references app.far (price), open numeric constraint roomy_open references app.far (price),
  word varchar constraint roomy_word references app.far (word), code text constraint roomy_code references app.far (code),
  same app.long_code constraint roomy_same references app.far (code), longer varchar(21) constraint roomy_longer references app.far (code),
  padded char(9) constraint roomy_padded references app.far (padded), day timestamp constraint roomy_day references app.far (day),
  small bigint constraint roomy_small references app.far (small));
create index roomy_number_idx on app.roomy (number);
create index roomy_open_idx on app.roomy (open);
create index roomy_word_idx on app.roomy (word);
create index roomy_code_idx on app.roomy (code);
create index roomy_same_idx on app.roomy (same);
create index roomy_longer_idx on app.roomy (longer);
create index roomy_padded_idx on app.roomy (padded);
create index roomy_day_idx on app.roomy (day);
create index roomy_small_idx on app.roomy (small);
--! clean app.roomy.roomy_number app.roomy.roomy_open app.roomy.roomy_word app.roomy.roomy_code app.roomy.roomy_same app.roomy.roomy_longer
--! clean app.roomy.roomy_padded app.roomy.roomy_day app.roomy.roomy_small
--! clean app.roomy_number_idx app.roomy_open_idx app.roomy_word_idx app.roomy_code_idx app.roomy_same_idx app.roomy_longer_idx
--! clean app.roomy_padded_idx app.roomy_day_idx app.roomy_small_idx
--! not integrity.foreign_key_type_mismatch app.roomy.roomy_number app.roomy.roomy_open app.roomy.roomy_word app.roomy.roomy_code
--! not integrity.foreign_key_type_mismatch app.roomy.roomy_same app.roomy.roomy_longer app.roomy.roomy_padded app.roomy.roomy_day app.roomy.roomy_small

-- Keys that nothing enforces on one partition, of either side.
create table app.ref (k int, one int constraint ref_fk references app.one) partition by list (k);
create table app.ref_1 partition of app.ref for values in (1);
create table app.ref_2 partition of app.ref for values in (2);
create index ref_one on app.ref (one);
alter table app.ref_1 disable trigger all;
create table app.tgt (id int primary key) partition by range (id);
create table app.tgt_1 partition of app.tgt for values from (0) to (10);
create table app.points (tgt int constraint points_fk references app.tgt);
create index points_tgt on app.points (tgt);
alter table app.tgt_1 disable trigger all;
--! integrity.foreign_key_disabled app.ref.ref_fk app.points.points_fk
create table app.enforced (k int, one int constraint enforced_fk references app.one) partition by list (k);
create table app.enforced_1 partition of app.enforced for values in (1);
create index enforced_one on app.enforced (one);
alter table only app.enforced disable trigger all;
--! clean app.enforced.enforced_fk app.enforced_1.enforced_fk
--! not integrity.foreign_key_disabled app.enforced.enforced_fk : its partitions check their rows
--! clean app.ref_1.ref_fk app.ref_2.ref_fk app.ref_1_one_idx app.ref_2_one_idx app.ref_one app.points_tgt app.tgt_pkey app.tgt_1_pkey
--! clean app.enforced_one app.enforced_1_one_idx
