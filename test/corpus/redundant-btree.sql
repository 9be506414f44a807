-- B-tree indexes on plain columns: prefixes, order, sort options, INCLUDE, operator classes, collations, chains.
create schema app;

-- A chain: each shorter one is covered by the longest, which stays.
create table app.chain (a int, b int, c int);
create index chain_a on app.chain (a);
create index chain_ab on app.chain (a, b);
create index chain_abc on app.chain (a, b, c);
--! index.redundant app.chain_a app.chain_ab
--! clean app.chain_abc

-- Of those that are the same, the first by name stays: oids are given anew by a restore.
create table app.twins (a int, b int);
create index twins_old on app.twins (a, b);
create index twins_new on app.twins (a, b);
create index twins_newest on app.twins (a, b);
--! clean app.twins_new
--! index.redundant app.twins_old app.twins_newest

-- The second column only, another order, the same columns the other way round: no prefix.
create table app.orders (a int, b int, c int);
create index orders_ab on app.orders (a, b);
create index orders_b on app.orders (b);
create index orders_ba on app.orders (b, a);
create index orders_acb on app.orders (a, c, b);
create index orders_c on app.orders (c);
--! clean app.orders_ab app.orders_ba app.orders_acb app.orders_c
--! index.redundant app.orders_b : covered by (b, a)
--! not index.redundant app.orders_acb app.orders_ab

-- Column 1 is no prefix of column 10, whatever their numbers look like.
create table app.wide (c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, c8 int, c9 int, c10 int, c11 int, c12 int);
create index wide_1 on app.wide (c1);
create index wide_10 on app.wide (c10);
create index wide_11_2 on app.wide (c11, c2);
create index wide_1_12 on app.wide (c12, c1);
create index wide_2 on app.wide (c2);
--! clean app.wide_1 app.wide_10 app.wide_11_2 app.wide_1_12 app.wide_2
--! not index.redundant app.wide_1 app.wide_2

-- The same name in another schema is another table.
create schema other;
create table other.chain (a int, b int);
create index chain_a on other.chain (a);
create index chain_b on other.chain (b);
--! clean other.chain_a other.chain_b
--! not index.redundant other.chain_a

-- Sort options: a whole reversal reads the same index backwards, anything else does not.
create table app.sorted (a int, b int, c int);
create index sorted_forth on app.sorted (a, b);
create index sorted_back on app.sorted (a desc, b desc);
create index sorted_mixed on app.sorted (a, b desc);
create index sorted_mixed_back on app.sorted (a desc, b);
create index sorted_nulls on app.sorted (a nulls first, b);
--! clean app.sorted_forth
--! index.redundant app.sorted_back : the same read backwards
--! clean app.sorted_mixed app.sorted_nulls
--! index.redundant app.sorted_mixed_back
--! not index.redundant app.sorted_mixed app.sorted_nulls

create table app.nulls (a int, b int);
create index nulls_last on app.nulls (a);
create index nulls_first on app.nulls (a nulls first);
create index nulls_desc on app.nulls (a desc);
create index nulls_desc_last on app.nulls (a desc nulls last);
--! clean app.nulls_last app.nulls_first
--! index.redundant app.nulls_desc : (a desc) puts nulls first: nulls_last backwards
--! index.redundant app.nulls_desc_last : (a nulls first) backwards

create table app.sorted_prefix (a int, b int);
create index sorted_prefix_desc on app.sorted_prefix (a desc);
create index sorted_prefix_ab on app.sorted_prefix (a, b);
--! index.redundant app.sorted_prefix_desc
--! clean app.sorted_prefix_ab

-- INCLUDE: the keeper must have the included columns; as key columns they will do.
create table app.included (a int, b int, c int, d int);
create index included_a on app.included (a);
create index included_a_b on app.included (a) include (b);
create index included_a_bc on app.included (a) include (c, b);
create index included_ad on app.included (a, d);
--! index.redundant app.included_a app.included_a_b
--! clean app.included_a_bc app.included_ad
--! not index.redundant app.included_a_bc
create table app.included_key (a int, b int, c int);
create index included_key_a_b on app.included_key (a) include (b);
create index included_key_ab on app.included_key (a, b);
create index included_key_ab_c on app.included_key (a, b) include (c);
--! index.redundant app.included_key_a_b app.included_key_ab
--! clean app.included_key_ab_c
create table app.included_only (a int, b int);
create index included_only_b on app.included_only (b);
create index included_only_a_b on app.included_only (a) include (b);
--! clean app.included_only_b app.included_only_a_b : included columns can't be searched

-- Operator classes and collations differ per position.
create table app.texts (a text, b text);
create index texts_a on app.texts (a);
create index texts_a_pattern on app.texts (a text_pattern_ops);
create index texts_a_c on app.texts (a collate "C");
create index texts_a_b_c on app.texts (a, b collate "C");
create index texts_a_pattern_b on app.texts (a text_pattern_ops, b);
create index texts_b on app.texts (b);
--! index.redundant app.texts_a : covered by (a, b collate "C"), whose first column is the same
--! index.redundant app.texts_a_pattern
--! clean app.texts_a_c app.texts_a_b_c app.texts_a_pattern_b app.texts_b
--! not index.redundant app.texts_a_c app.texts_b
create table app.collated (a text collate "C", b text);
create index collated_implicit on app.collated (a);
create index collated_explicit on app.collated (a collate "C");
create index collated_posix on app.collated (a collate "POSIX");
--! clean app.collated_explicit app.collated_posix
--! index.redundant app.collated_implicit : the same, and the second by name
--! not index.redundant app.collated_posix
create table app.varchars (a varchar(20), b varchar(20));
create index varchars_default on app.varchars (a);
create index varchars_named on app.varchars (a varchar_ops);
--! clean app.varchars_default
--! index.redundant app.varchars_named : varchar_ops is text_ops by another name

-- Storage parameters of a B-tree decide how it grows, not what it finds.
create table app.stored (a int);
create index stored_full on app.stored (a);
create index stored_loose on app.stored (a) with (fillfactor = 50, deduplicate_items = off);
--! clean app.stored_full
--! index.redundant app.stored_loose

-- An invalid index covers nothing, and is step 3's.
create table app.half (a int, b int);
create index half_a on app.half (a);
create index half_ab on app.half (a, b);
update pg_index set indisvalid = false where indexrelid = 'app.half_ab'::regclass;
--! clean app.half_a
--! index.invalid app.half_ab
--! not index.redundant app.half_a

-- Unlogged tables are tables like others; so are those that inherit, each with indexes of its own.
create unlogged table app.fleeting (a int, b int);
create index fleeting_a on app.fleeting (a);
create index fleeting_ab on app.fleeting (a, b);
--! index.redundant app.fleeting_a
--! clean app.fleeting_ab
create table app.parent (a int, b int);
create table app.child () inherits (app.parent);
create index parent_a on app.parent (a);
create index parent_ab on app.parent (a, b);
create index child_a on app.child (a);
--! index.redundant app.parent_a
--! clean app.parent_ab app.child_a
--! not index.redundant app.child_a

-- Those of temporary tables end with the session.
create temp table passing (a int, b int);
create index passing_a on passing (a);
create index passing_ab on passing (a, b);
--! clean pg_temp.passing_a pg_temp.passing_ab
--! not index.redundant pg_temp.passing_a

-- Dropped columns leave gaps in the numbers.
create table app.gaps (x int, a int, y int, b int);
alter table app.gaps drop column x, drop column y;
create index gaps_a on app.gaps (a);
create index gaps_ab on app.gaps (a, b);
create index gaps_b on app.gaps (b);
--! index.redundant app.gaps_a
--! clean app.gaps_ab app.gaps_b
