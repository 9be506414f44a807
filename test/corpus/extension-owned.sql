-- What belongs to an extension is reported, and no action is ever queued for it.
create schema app;
create extension hstore schema public;
create table app.owned (id int primary key, a int, b int, up int constraint owned_up references app.owned);
create index owned_a on app.owned (a);
create index owned_ab on app.owned (a, b);
create index owned_b on app.owned (b);
update pg_index set indisvalid = false where indexrelid = 'app.owned_b'::regclass;
create materialized view app.owned_view as select 1 as a with no data;
alter extension hstore add table app.owned;
alter extension hstore add materialized view app.owned_view;
--! clean app.owned_pkey app.owned_ab
--! index.redundant app.owned_a
--! index.invalid app.owned_b
--! fk.unindexed app.owned.owned_up
--! matview.unpopulated app.owned_view
--! matview.no_unique_index app.owned_view
