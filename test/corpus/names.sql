-- Names that break what pastes them, the same name in two schemas, the longest names there are.
create schema "we;ird "" name";
create schema "MixedCase";
create schema mixedcase;
create table "we;ird "" name"."select" ("a.b" int, "drop table x; --" int, c int);
create index "index one" on "we;ird "" name"."select" ("a.b");
create index "index ""two""" on "we;ird "" name"."select" ("a.b", "drop table x; --");
--! index.redundant "we;ird "" name"."index one"
--! clean "we;ird "" name"."index ""two"""

create table "MixedCase"."Same" ("A" int, a int, "a " int);
create index "Same_idx" on "MixedCase"."Same" ("A");
create index same_idx on "MixedCase"."Same" (a);
create index "same_idx " on "MixedCase"."Same" ("a ");
create index "SAME_IDX" on "MixedCase"."Same" (a, "A");
--! clean "MixedCase"."Same_idx" "MixedCase"."same_idx " "MixedCase"."SAME_IDX"
--! index.redundant "MixedCase".same_idx
--! not index.redundant "MixedCase"."Same_idx"
create table mixedcase.same (a int, b int);
create index same_idx on mixedcase.same (a);
create index "Same_idx" on mixedcase.same (b);
--! clean mixedcase.same_idx mixedcase."Same_idx"
--! not index.redundant mixedcase.same_idx

-- Names that look like those of leftovers, on valid indexes.
create table "MixedCase"."left" (a int, b int, c int);
create index "left_a_ccnew" on "MixedCase"."left" (a);
create index "left_b_ccold1" on "MixedCase"."left" (b);
create index "index_16384" on "MixedCase"."left" (c);
--! clean "MixedCase"."left_a_ccnew" "MixedCase"."left_b_ccold1" "MixedCase"."index_16384"
--! not index.orphaned "MixedCase"."left_a_ccnew" "MixedCase"."left_b_ccold1" "MixedCase"."index_16384"

create table "MixedCase"."xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" (
  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" int
    constraint "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk" primary key,
  "größe_索引_🐘" int constraint "fremd_🐘"
    references "MixedCase"."xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
--! clean "MixedCase"."kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
--! fk.unindexed "MixedCase"."xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"."fremd_🐘"
create materialized view "MixedCase"."1st; view" as select 1 as "col ""1""" with no data;
create unique index "1st" on "MixedCase"."1st; view" ("col ""1""");
--! matview.unpopulated "MixedCase"."1st; view"
--! clean "MixedCase"."1st"

-- The same constraint name in two tables.
create table mixedcase.one (id int primary key);
create table mixedcase.two (one int constraint same_fk references mixedcase.one);
create table mixedcase.three (one int constraint same_fk references mixedcase.one);
create index three_one on mixedcase.three (one);
--! clean mixedcase.one_pkey mixedcase.three.same_fk mixedcase.three_one
--! fk.unindexed mixedcase.two.same_fk
