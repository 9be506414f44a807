-- Materialized views: filled or not, refreshable without a lock or not, stale or not, and which columns are asked for.
--! config features.materialized_view_support.stale_hours 0
--! config features.materialized_view_support.index_minimum_calls 2
--! config features.materialized_view_support.index_minimum_rows 50
create extension pg_stat_statements schema public;
create schema app;
create table app.sale (id int primary key, region text, amount int);
insert into app.sale select i, 'r' || i % 7, i from generate_series(1, 100) as i;
create table app.calm (id int primary key, name text);
insert into app.calm select i, 'n' || i from generate_series(1, 100) as i;
create table app.tree (k int, id int) partition by list (k);
create table app.tree_1 partition of app.tree for values in (1);
--! clean app.sale_pkey app.calm_pkey

create materialized view app.good as select id, name from app.calm;
create unique index good_id on app.good (id);
--! clean app.good app.good_id
--! not matview.unpopulated app.good
--! not matview.stale app.good
--! not matview.no_unique_index app.good

create materialized view app.pair as select id, name from app.calm;
create unique index pair_both on app.pair (name, id) include (id);
--! clean app.pair app.pair_both
create materialized view app.alike as select id, name from app.calm;
create unique index alike_id on app.alike (id desc) nulls not distinct;
--! clean app.alike app.alike_id

create materialized view app.never as select id from app.calm with no data;
create unique index never_id on app.never (id);
--! matview.unpopulated app.never
--! clean app.never_id
--! not matview.no_unique_index app.never

create materialized view app.bare as select id from app.calm;
--! matview.no_unique_index app.bare
create materialized view app.indexed as select id from app.calm;
create index indexed_id on app.indexed (id);
--! matview.no_unique_index app.indexed
--! clean app.indexed_id
create materialized view app.partial as select id from app.calm;
create unique index partial_id on app.partial (id) where id > 0;
--! matview.no_unique_index app.partial
--! clean app.partial_id
create materialized view app.expression as select id from app.calm;
create unique index expression_id on app.expression ((id + 0));
--! matview.no_unique_index app.expression
--! clean app.expression_id
create materialized view app.both as select id from app.calm with no data;
--! matview.unpopulated app.both
--! matview.no_unique_index app.both

create materialized view app.of_sale as select id, region, amount from app.sale;
create unique index of_sale_id on app.of_sale (id);
--! matview.stale app.of_sale
--! clean app.of_sale_id
create view app.between as select id from app.sale;
create materialized view app.of_view as select id from app.between;
create unique index of_view_id on app.of_view (id);
--! matview.stale app.of_view
--! clean app.of_view_id
create materialized view app.of_tree as select id from app.tree;
create unique index of_tree_id on app.of_tree (id);
--! matview.stale app.of_tree
--! clean app.of_tree_id
create materialized view app.refreshed as select id from app.sale;
create unique index refreshed_id on app.refreshed (id);
--! clean app.refreshed app.refreshed_id
--! not matview.stale app.refreshed
create materialized view app.refreshed_beside as select id from app.sale;
create unique index refreshed_beside_id on app.refreshed_beside (id);
--! clean app.refreshed_beside app.refreshed_beside_id
--! not matview.stale app.refreshed_beside
create materialized view app.granted as select id from app.sale;
create unique index granted_id on app.granted (id);
--! matview.stale app.granted : a grant is no refresh
--! clean app.granted_id
create materialized view app.of_nothing as select i as id from generate_series(1, 100) as i;
create unique index of_nothing_id on app.of_nothing (id);
--! clean app.of_nothing app.of_nothing_id
--! not matview.stale app.of_nothing

create materialized view app.asked as select id, name, 'x' || id % 5 as kind, id % 3 as part from app.calm;
create unique index asked_id on app.asked (id);
create index asked_part on app.asked using hash (part);
--! matview.index_suggestion app.asked
--! clean app.asked_id app.asked_part
create materialized view app.asked_well as select id, name, 'x' || id % 5 as kind from app.calm;
create unique index asked_well_id on app.asked_well (id);
create index asked_well_name on app.asked_well (name);
--! clean app.asked_well app.asked_well_id app.asked_well_name
--! not matview.index_suggestion app.asked_well
create materialized view app.asked_tiny as select id, name from app.calm where id <= 10;
create unique index asked_tiny_id on app.asked_tiny (id);
--! clean app.asked_tiny app.asked_tiny_id
--! not matview.index_suggestion app.asked_tiny
create materialized view app."Asked ""so" as select id as "Id", name as "Full name" from app.calm;
create unique index "Asked id" on app."Asked ""so" ("Id");
--! matview.index_suggestion app."Asked ""so"
--! clean app."Asked id"
create schema other;
create materialized view other.asked as select id, name, 'x' || id % 5 as kind from app.calm;
create unique index asked_id on other.asked (id);
--! clean other.asked other.asked_id
--! not matview.index_suggestion other.asked
analyze;
--! run
insert into app.sale values (1000, 'new', 1);
insert into app.tree values (1, 1);
refresh materialized view app.refreshed;
refresh materialized view concurrently app.refreshed_beside;
grant select on app.granted to public;
select * from app.calm;
-- Of this database alone: other tests count on the same server.
select pg_stat_statements_reset(0, (select oid from pg_database where datname = current_database()), 0) is null;
select id from app.asked where kind = 'x1';
select id from app.asked as v where v.kind = 'x2' and v.part = 1;
select id from app.asked where kind = 'x3';
select id from app.asked where upper(name) = 'N1';
select id from app.asked where upper(name) = 'N2';
select id from app.asked_well where id = 1 and kind = 'x1';
select id from app.asked_well where id = 2 and kind = 'x1';
select id from app.asked_well where name > 'n1' and kind = 'x1';
select id from app.asked_well where name > 'n2' and kind = 'x1';
select id from app.asked_well where kind = 'x1' or name = 'n1';
select id from app.asked_well where kind = 'x2' or name = 'n1';
select id from app.asked_well where kind = 'once';
select id from app.asked_tiny where name = 'n1';
select id from app.asked_tiny where name = 'n2';
select v."Id" from app."Asked ""so" v where v."Full name" = 'n1';
select v."Id" from app."Asked ""so" v where v."Full name" = 'n2';
-- An unqualified name may be either of two: it speaks for none.
set search_path = other;
select id from asked where name = 'n1' limit 1;
select id from asked where name = 'n2' limit 1;
reset search_path;
