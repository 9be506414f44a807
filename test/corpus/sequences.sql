-- Sequences: what counts is where the next values go, and what is there to hold them.
create schema app;
-- Its own range.
create sequence app.own as smallint;
create sequence app.own_down as smallint increment -1;
create sequence app.own_max maxvalue 1000;
create sequence app.own_far maxvalue 1000;
select setval('app.own', 32000), setval('app.own_down', -32000), setval('app.own_max', 1000), setval('app.own_far', 700) is null;
--! integrity.sequence_near_end app.own app.own_down app.own_max
--! clean app.own_far
--! not integrity.sequence_near_end app.own_far

-- The column it fills.
create sequence app.wide_int;
create sequence app.wide_small;
create sequence app.wide_domain;
create sequence app.wide_numeric;
create sequence app.wide_varchar;
create sequence app.wide_down increment -1;
create sequence app.wide_named;
create sequence app.wide_in_domain;
create sequence app.roomy_bigint;
create sequence app.roomy_numeric;
create sequence app.roomy_text;
create sequence app.roomy_computed;
create sequence app.roomy_down increment -1;
create domain app.small as smallint;
create domain app.smaller as app.small;
create domain app.numbered as int default nextval('app.wide_in_domain');
create table app.filled (a int default nextval('app.wide_int'), b smallint default nextval('app.wide_small'), c app.smaller default nextval('app.wide_domain'),
  d numeric(4) default nextval('app.wide_numeric'), e varchar(4) default nextval('app.wide_varchar'), f smallint default nextval('app.wide_down'),
  g int default nextval('app.wide_named'::text), h app.numbered,
  i bigint default nextval('app.roomy_bigint'), j numeric default nextval('app.roomy_numeric'), k text default nextval('app.roomy_text'),
  l smallint default (nextval('app.roomy_computed') % 1000), m int default nextval('app.roomy_down'));
select setval('app.wide_int', 2147483000), setval('app.wide_small', 32767), setval('app.wide_domain', 30000), setval('app.wide_numeric', 9999),
  setval('app.wide_varchar', 9000), setval('app.wide_down', -32768), setval('app.wide_named', 2147483647), setval('app.wide_in_domain', 2147483647),
  setval('app.roomy_bigint', 2147483647), setval('app.roomy_numeric', 2147483647), setval('app.roomy_text', 2147483647),
  setval('app.roomy_computed', 2147483647), setval('app.roomy_down', -32768);
--! integrity.sequence_near_end app.wide_int app.wide_small app.wide_domain app.wide_numeric app.wide_varchar app.wide_down app.wide_named app.wide_in_domain
--! clean app.roomy_bigint app.roomy_numeric app.roomy_text app.roomy_computed app.roomy_down
--! not integrity.sequence_near_end app.roomy_bigint app.roomy_numeric app.roomy_text app.roomy_computed app.roomy_down

-- Cycling: it never ends, unless a column overflows before it turns.
create sequence app.turns_late cycle;
create sequence app.turns_in_time as int cycle;
create sequence app.turns_alone as smallint cycle;
create table app.turned (a int default nextval('app.turns_late'), b int default nextval('app.turns_in_time'));
select setval('app.turns_late', 2147483647), setval('app.turns_in_time', 2147483647), setval('app.turns_alone', 32767);
--! integrity.sequence_near_end app.turns_late
--! clean app.turns_in_time app.turns_alone
--! not integrity.sequence_near_end app.turns_in_time app.turns_alone

-- Owned is not filled.
create table app.moved (id_old serial, id bigint);
alter table app.moved alter id_old drop default, alter id_old drop not null, alter id set default nextval('app.moved_id_old_seq');
alter sequence app.moved_id_old_seq as bigint;
create table app.left_alone (id serial);
alter table app.left_alone alter id drop default;
alter sequence app.left_alone_id_seq as bigint;
create table app.shared_wide (id bigserial);
create table app.shared_narrow (id int default nextval('app.shared_wide_id_seq'));
create table app.identified (id smallint generated always as identity);
alter sequence app.identified_id_seq as bigint;
create table app.identified_wide (id bigint generated always as identity);
select setval('app.moved_id_old_seq', 2147483647), setval('app.left_alone_id_seq', 2147483647), setval('app.shared_wide_id_seq', 2147483647),
  setval('app.identified_id_seq', 32767), setval('app.identified_wide_id_seq', 2147483647);
--! integrity.sequence_near_end app.shared_wide_id_seq app.identified_id_seq
--! clean app.moved_id_old_seq app.left_alone_id_seq app.identified_wide_id_seq
--! not integrity.sequence_near_end app.moved_id_old_seq app.left_alone_id_seq app.identified_wide_id_seq
