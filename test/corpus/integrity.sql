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
--! integrity.foreign_key_type_mismatch app.mismatch.mismatch_a app.mismatch.mismatch_b
--! clean app.mismatch.mismatch_c app.mismatch_a_idx app.mismatch_b_idx app.mismatch_c_idx
--! not integrity.foreign_key_type_mismatch app.mismatch.mismatch_c
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
