-- Foreign keys of and to partitioned tables: each once, judged over the tree.
create schema app;
create table app.one (id int primary key);
--! clean app.one_pkey

create table app.bare (k int, one int constraint bare_fk references app.one) partition by list (k);
create table app.bare_1 partition of app.bare for values in (1);
create table app.bare_2 partition of app.bare for values in (2) partition by list (k);
create table app.bare_2_2 partition of app.bare_2 for values in (2);
--! fk.unindexed app.bare.bare_fk
--! clean app.bare_1.bare_fk app.bare_2.bare_fk app.bare_2_2.bare_fk
--! not fk.unindexed app.bare_1.bare_fk app.bare_2.bare_fk app.bare_2_2.bare_fk

create table app.served (k int, one int constraint served_fk references app.one) partition by list (k);
create table app.served_1 partition of app.served for values in (1);
create index served_one on app.served (one);
--! clean app.served.served_fk app.served_1.served_fk app.served_one app.served_1_one_idx

create table app.leaves (k int, one int constraint leaves_fk references app.one) partition by list (k);
create table app.leaves_1 partition of app.leaves for values in (1);
create table app.leaves_2 partition of app.leaves for values in (2) partition by list (k);
create table app.leaves_2_2 partition of app.leaves_2 for values in (2);
create index leaves_1_one on app.leaves_1 (one);
create index leaves_2_one on app.leaves_2 (one);
--! clean app.leaves.leaves_fk app.leaves_1.leaves_fk app.leaves_2.leaves_fk app.leaves_2_2.leaves_fk
--! clean app.leaves_1_one app.leaves_2_one app.leaves_2_2_one_idx
--! not fk.unindexed app.leaves.leaves_fk

create table app.partly (k int, one int constraint partly_fk references app.one) partition by list (k);
create table app.partly_1 partition of app.partly for values in (1);
create table app.partly_2 partition of app.partly for values in (2);
create index partly_1_one on app.partly_1 (one);
--! fk.unindexed app.partly.partly_fk
--! clean app.partly_1.partly_fk app.partly_2.partly_fk app.partly_1_one

create table app.sparse (k int, one int constraint sparse_fk references app.one) partition by list (k);
create table app.sparse_1 partition of app.sparse for values in (1);
create index sparse_one on only app.sparse (one);
--! fk.unindexed app.sparse.sparse_fk
--! index.orphaned app.sparse_one
--! clean app.sparse_1.sparse_fk

create table app.empty (k int, one int constraint empty_fk references app.one) partition by list (k);
--! fk.unindexed app.empty.empty_fk
create table app.empty_served (k int, one int constraint empty_served_fk references app.one) partition by list (k);
create index empty_served_one on app.empty_served (one);
--! clean app.empty_served.empty_served_fk app.empty_served_one

-- A key that only one partition has is that partition's own.
create table app.own (k int, one int) partition by list (k);
create table app.own_1 partition of app.own for values in (1);
alter table app.own_1 add constraint own_1_fk foreign key (one) references app.one;
--! fk.unindexed app.own_1.own_1_fk

-- Columns in another order in the partition.
create table app.shuffled (k int, a int, one int constraint shuffled_fk references app.one) partition by list (k);
create table app.shuffled_1 (one int, a int, k int);
alter table app.shuffled attach partition app.shuffled_1 for values in (1);
create index shuffled_1_a on app.shuffled_1 (a);
--! fk.unindexed app.shuffled.shuffled_fk
--! clean app.shuffled_1.shuffled_fk app.shuffled_1_a
create table app.shuffled_served (k int, a int, one int constraint shuffled_served_fk references app.one) partition by list (k);
create table app.shuffled_served_1 (one int, a int, k int);
alter table app.shuffled_served attach partition app.shuffled_served_1 for values in (1);
create index shuffled_served_1_one on app.shuffled_served_1 (one);
--! clean app.shuffled_served.shuffled_served_fk app.shuffled_served_1.shuffled_served_fk app.shuffled_served_1_one

-- To a partitioned table: one key, whatever rows the catalog needs for it.
create table app.target (id int primary key) partition by range (id);
create table app.target_1 partition of app.target for values from (0) to (10);
create table app.target_2 partition of app.target for values from (10) to (20);
--! clean app.target_pkey app.target_1_pkey app.target_2_pkey
create table app.pointing (target int constraint pointing_fk references app.target);
--! fk.unindexed app.pointing.pointing_fk
create table app.pointing_served (target int constraint pointing_served_fk references app.target);
create index pointing_served_target on app.pointing_served (target);
--! clean app.pointing_served.pointing_served_fk app.pointing_served_target
create table app.from_tree (k int, target int constraint from_tree_fk references app.target) partition by list (k);
create table app.from_tree_1 partition of app.from_tree for values in (1);
--! fk.unindexed app.from_tree.from_tree_fk
--! clean app.from_tree_1.from_tree_fk
create table app.looped (id int primary key, up int constraint looped_fk references app.looped) partition by range (id);
create table app.looped_1 partition of app.looped for values from (0) to (10);
create index looped_up on app.looped (up);
--! clean app.looped_pkey app.looped_1_pkey app.looped.looped_fk app.looped_1.looped_fk app.looped_up app.looped_1_up_idx
