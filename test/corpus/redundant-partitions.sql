-- Partition trees are judged at their root: one finding for the tree, none for its parts.
create schema app;
create table app.events (k int, a int, b int) partition by list (k);
create table app.events_1 partition of app.events for values in (1);
create table app.events_2 partition of app.events for values in (2, 3) partition by list (k);
create table app.events_2_2 partition of app.events_2 for values in (2);
create table app.events_2_3 partition of app.events_2 for values in (3);
create index events_a on app.events (a);
create index events_ab on app.events (a, b);
create index events_b on app.events (b);
--! index.redundant app.events_a
--! clean app.events_ab app.events_b
--! clean app.events_1_a_idx app.events_2_a_idx app.events_2_2_a_idx app.events_2_3_a_idx
--! clean app.events_1_a_b_idx app.events_2_a_b_idx app.events_2_2_a_b_idx app.events_2_3_a_b_idx
--! clean app.events_1_b_idx app.events_2_b_idx app.events_2_2_b_idx app.events_2_3_b_idx
--! not index.redundant app.events_1_a_idx app.events_2_a_idx

-- A partition's own index, beside an attached one that covers it.
create index events_1_own on app.events_1 (a);
create index events_1_more on app.events_1 (k);
--! index.redundant app.events_1_own
--! clean app.events_1_more

-- An attached index is never dropped for one that the partition has of its own.
create table app.days (k int, a int, b int) partition by range (k);
create table app.days_1 partition of app.days for values from (0) to (10);
create index days_a on app.days (a);
create index days_1_ab on app.days_1 (a, b);
--! clean app.days_a app.days_1_a_idx app.days_1_ab
--! not index.redundant app.days_1_a_idx app.days_a

-- Made ON ONLY and never completed: invalid, so it covers nothing; step 2 reports it.
create table app.sparse (k int, a int, b int) partition by list (k);
create table app.sparse_1 partition of app.sparse for values in (1);
create index sparse_ab on only app.sparse (a, b);
create index sparse_a on app.sparse (a);
--! index.orphaned app.sparse_ab
--! clean app.sparse_a app.sparse_1_a_idx
--! not index.redundant app.sparse_a
--! not index.invalid app.sparse_ab

-- Completed by attaching what was there.
create table app.joined (k int, a int, b int) partition by list (k);
create table app.joined_1 partition of app.joined for values in (1);
create index joined_a on only app.joined (a);
create index joined_1_made on app.joined_1 (a);
alter index app.joined_a attach partition app.joined_1_made;
--! clean app.joined_a app.joined_1_made
--! not index.orphaned app.joined_a

-- Unique and primary keys of trees.
create table app.keyed (k int, a int, primary key (k, a)) partition by hash (k);
create table app.keyed_0 partition of app.keyed for values with (modulus 2, remainder 0);
create table app.keyed_1 partition of app.keyed for values with (modulus 2, remainder 1);
create unique index keyed_too on app.keyed (k, a);
create index keyed_k on app.keyed (k);
--! clean app.keyed_pkey app.keyed_0_pkey app.keyed_1_pkey
--! index.redundant app.keyed_too app.keyed_k
--! clean app.keyed_0_k_a_idx app.keyed_1_k_a_idx app.keyed_0_k_idx app.keyed_1_k_idx

-- The twin of one tree in another schema.
create schema other;
create table other.events (k int, a int) partition by list (k);
create table other.events_1 partition of other.events default;
create index events_a on other.events (a);
--! clean other.events_a other.events_1_a_idx
--! not index.redundant other.events_a
