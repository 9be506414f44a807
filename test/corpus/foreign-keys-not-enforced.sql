-- Keys that are not enforced (PostgreSQL 18): nothing searches for referencing rows, but joins along them would.
--! requires 18
create schema app;
create table app.one (id int primary key);
create table app.loose (one int constraint loose_fk references app.one not enforced);
create table app.loose_served (one int constraint loose_served_fk references app.one not enforced);
create index loose_served_one on app.loose_served (one);
--! clean app.one_pkey app.loose_served.loose_served_fk app.loose_served_one
--! fk.unindexed app.loose.loose_fk
--! not integrity.constraint_not_valid app.loose.loose_fk
