-- Indexes that enforce or identify something: they go only where another enforces the same.
create schema app;

-- UNIQUE (a) is not covered by PRIMARY KEY (a, b).
create table app.pairs (a int, b int, primary key (a, b));
create unique index pairs_a on app.pairs (a);
create index pairs_ab on app.pairs (a, b);
create index pairs_a_plain on app.pairs (a);
create index pairs_b on app.pairs (b);
--! clean app.pairs_pkey app.pairs_a app.pairs_b
--! index.redundant app.pairs_ab app.pairs_a_plain
--! not index.redundant app.pairs_a

-- A unique index beside the primary key on the same column enforces nothing more.
create table app.twice (id int primary key, code text);
create unique index twice_again on app.twice (id);
create unique index twice_code on app.twice (code);
create unique index twice_code_again on app.twice (code);
create unique index twice_code_id on app.twice (code, id);
--! clean app.twice_pkey app.twice_code app.twice_code_id
--! index.redundant app.twice_again app.twice_code_again
--! not index.redundant app.twice_code_id

-- Two constraints on the same columns: each is somebody's, neither is dropped by its index.
create table app.constrained (a int, b int, constraint constrained_one unique (a), constraint constrained_two unique (a, b));
create unique index constrained_index on app.constrained (a);
--! clean app.constrained_one app.constrained_two
--! index.redundant app.constrained_index

-- A deferrable constraint allows duplicates for a while: it does not stand in for one that does not.
create table app.deferred (a int, b int,
  constraint deferred_late unique (a) deferrable initially deferred,
  constraint deferred_maybe unique (b) deferrable);
create unique index deferred_at_once on app.deferred (a);
create index deferred_plain on app.deferred (b);
--! clean app.deferred_late app.deferred_at_once app.deferred_maybe
--! index.redundant app.deferred_plain : for searching, the constraint's index will do
--! not index.redundant app.deferred_at_once

-- NULLS NOT DISTINCT forbids what the other allows.
create table app.nulls (a int);
create unique index nulls_distinct on app.nulls (a);
create unique index nulls_equal on app.nulls (a) nulls not distinct;
create unique index nulls_equal_too on app.nulls (a) nulls not distinct;
--! clean app.nulls_distinct app.nulls_equal
--! index.redundant app.nulls_equal_too
--! not index.redundant app.nulls_distinct app.nulls_equal

-- Exclusion constraints.
create extension btree_gist schema public;
create table app.rooms (room int, during tsrange,
  constraint rooms_once exclude using gist (room with =, during with &&));
create index rooms_room on app.rooms using gist (room);
create index rooms_both on app.rooms using gist (room, during);
create index rooms_during on app.rooms using gist (during);
--! clean app.rooms_once app.rooms_during
--! index.redundant app.rooms_room app.rooms_both
--! not index.redundant app.rooms_once

-- What a foreign key references, whatever else covers it.
create table app.codes (code text not null, region int not null);
create unique index codes_code on app.codes (code);
create unique index codes_code_too on app.codes (code);
create table app.uses (code text references app.codes (code));
create index uses_code on app.uses (code);
--! clean app.codes_code app.uses_code app.uses.uses_code_fkey
--! index.redundant app.codes_code_too
--! not index.redundant app.codes_code

-- Replica identity and clustering are somebody's choice.
create table app.replicated (a int not null, b int not null, c int);
create unique index replicated_first on app.replicated (a);
create unique index replicated_identity on app.replicated (a);
alter table app.replicated replica identity using index replicated_identity;
create index replicated_b on app.replicated (b);
create index replicated_bc on app.replicated (b, c);
alter table app.replicated cluster on replicated_b;
--! clean app.replicated_identity app.replicated_b app.replicated_bc
--! index.redundant app.replicated_first : the replica identity enforces the same
--! not index.redundant app.replicated_identity app.replicated_b

-- Unique over fewer columns makes a longer plain key needless only the other way round.
create table app.longer (a int, b int, c int);
create unique index longer_a on app.longer (a);
create index longer_ab on app.longer (a, b);
create unique index longer_abc on app.longer (a, b, c);
create unique index longer_a_with on app.longer (a) include (b);
--! clean app.longer_abc app.longer_a_with
--! index.redundant app.longer_a app.longer_ab
--! not index.redundant app.longer_abc app.longer_a_with
