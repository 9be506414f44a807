-- Which index serves a foreign key, and which only looks as if.
create schema app;
create table app.one (id int primary key);
create table app.two (a int, b int, primary key (a, b));
create table app.three (a int, b int, c int, constraint three_key unique (a, b, c));
--! clean app.one_pkey app.two_pkey app.three_key

-- One column.
create table app.none (one int references app.one, x int);
--! fk.unindexed app.none.none_one_fkey
create table app.plain (one int references app.one);
create index plain_one on app.plain (one);
--! clean app.plain.plain_one_fkey app.plain_one
--! not fk.unindexed app.plain.plain_one_fkey
create table app.leading (one int references app.one, x int);
create index leading_one_x on app.leading (one desc nulls last, x);
--! clean app.leading.leading_one_fkey app.leading_one_x
create table app.second (one int references app.one, x int);
create index second_x_one on app.second (x, one);
--! fk.unindexed app.second.second_one_fkey
--! clean app.second_x_one
create table app.hashed (one int references app.one);
create index hashed_one on app.hashed using hash (one);
--! clean app.hashed.hashed_one_fkey app.hashed_one
create table app.brin (one int references app.one);
create index brin_one on app.brin using brin (one);
--! fk.unindexed app.brin.brin_one_fkey
--! clean app.brin_one
create table app.expression (one int references app.one);
create index expression_one on app.expression ((one + 0));
--! fk.unindexed app.expression.expression_one_fkey
--! clean app.expression_one
create table app.included (one int references app.one, x int);
create index included_one on app.included (x) include (one);
--! fk.unindexed app.included.included_one_fkey
--! clean app.included_one
create table app.gin (one int references app.one, many int[]);
create extension btree_gin schema public;
create index gin_one on app.gin using gin (one);
--! clean app.gin.gin_one_fkey app.gin_one
--! not fk.unindexed app.gin.gin_one_fkey : its class knows the operator
create table app.keyed (one int primary key references app.one);
--! clean app.keyed.keyed_one_fkey app.keyed_pkey
create table app.unique_pair (one int references app.one, x int, constraint unique_pair_key unique (one, x));
--! clean app.unique_pair.unique_pair_one_fkey app.unique_pair_key
create table app.unique_second (one int references app.one, x int, constraint unique_second_key unique (x, one));
--! fk.unindexed app.unique_second.unique_second_one_fkey
--! clean app.unique_second_key

-- Partial indexes.
create table app.not_null (one int references app.one, x int);
create index not_null_one on app.not_null (one) where one is not null;
--! clean app.not_null.not_null_one_fkey app.not_null_one
--! not fk.unindexed app.not_null.not_null_one_fkey
create table app.other_not_null (one int references app.one, x int);
create index other_not_null_one on app.other_not_null (one) where x is not null;
--! fk.unindexed app.other_not_null.other_not_null_one_fkey
--! clean app.other_not_null_one
create table app.some_rows (one int references app.one, done boolean);
create index some_rows_one on app.some_rows (one) where not done;
--! fk.unindexed app.some_rows.some_rows_one_fkey
--! clean app.some_rows_one
create table app.only_null (one int references app.one);
create index only_null_one on app.only_null (one) where one is null;
--! fk.unindexed app.only_null.only_null_one_fkey
--! clean app.only_null_one

-- Two columns: both, in any order, first.
create table app.pair_ab (a int, b int, constraint pair_ab_fk foreign key (a, b) references app.two);
create index pair_ab_ab on app.pair_ab (a, b);
--! clean app.pair_ab.pair_ab_fk app.pair_ab_ab
create table app.pair_ba (a int, b int, x int, constraint pair_ba_fk foreign key (a, b) references app.two);
create index pair_ba_bax on app.pair_ba (b, a, x);
--! clean app.pair_ba.pair_ba_fk app.pair_ba_bax
create table app.pair_a (a int, b int, constraint pair_a_fk foreign key (a, b) references app.two);
create index pair_a_a on app.pair_a (a);
create index pair_a_b on app.pair_a (b);
--! fk.unindexed app.pair_a.pair_a_fk
--! clean app.pair_a_a app.pair_a_b
create table app.pair_include (a int, b int, constraint pair_include_fk foreign key (a, b) references app.two);
create index pair_include_a on app.pair_include (a) include (b);
--! fk.unindexed app.pair_include.pair_include_fk
--! clean app.pair_include_a
create table app.pair_between (a int, b int, x int, constraint pair_between_fk foreign key (a, b) references app.two);
create index pair_between_axb on app.pair_between (a, x, b);
--! fk.unindexed app.pair_between.pair_between_fk
--! clean app.pair_between_axb
create table app.pair_partial (a int, b int, constraint pair_partial_fk foreign key (a, b) references app.two);
create index pair_partial_ab on app.pair_partial (a, b) where a is not null and b is not null;
--! clean app.pair_partial.pair_partial_fk app.pair_partial_ab
create table app.pair_either (a int, b int, constraint pair_either_fk foreign key (a, b) references app.two);
create index pair_either_ab on app.pair_either (a, b) where a is not null or b is not null;
--! clean app.pair_either_ab
--! fk.unindexed app.pair_either.pair_either_fk : more than "column is not null", though it leaves nothing out
create table app.triple (a int, b int, c int, constraint triple_fk foreign key (c, a, b) references app.three (c, a, b));
create index triple_bca on app.triple (b, c, a);
--! clean app.triple.triple_fk app.triple_bca
create table app.triple_two (a int, b int, c int, constraint triple_two_fk foreign key (a, b, c) references app.three (a, b, c));
create index triple_two_ab on app.triple_two (a, b);
--! fk.unindexed app.triple_two.triple_two_fk
--! clean app.triple_two_ab

-- Kinds of foreign keys.
create table app.tree (id int primary key, parent int constraint tree_parent references app.tree);
--! clean app.tree_pkey
--! fk.unindexed app.tree.tree_parent
create table app.tree_indexed (id int primary key, parent int constraint tree_indexed_parent references app.tree_indexed);
create index tree_indexed_parent_idx on app.tree_indexed (parent);
--! clean app.tree_indexed_pkey app.tree_indexed.tree_indexed_parent app.tree_indexed_parent_idx
create table app.late (one int constraint late_fk references app.one deferrable initially deferred);
--! fk.unindexed app.late.late_fk
create table app.full_match (a int, b int, constraint full_match_fk foreign key (a, b) references app.two match full);
--! fk.unindexed app.full_match.full_match_fk
create table app.cascading (one int constraint cascading_fk references app.one on delete cascade on update set null);
--! fk.unindexed app.cascading.cascading_fk
create table app.unproven (one int);
alter table app.unproven add constraint unproven_fk foreign key (one) references app.one not valid;
--! fk.unindexed app.unproven.unproven_fk
--! integrity.constraint_not_valid app.unproven.unproven_fk
create table app.twice (one int constraint twice_first references app.one, other int constraint twice_second references app.one);
create index twice_one on app.twice (one);
--! clean app.twice.twice_first app.twice_one
--! fk.unindexed app.twice.twice_second

-- Types: the operator decides. A cast of the column can't use an index on it.
create table app.big (id bigint primary key);
create table app.exact (id numeric primary key);
create table app.small_to_big (big int constraint small_to_big_fk references app.big);
create index small_to_big_idx on app.small_to_big (big);
--! clean app.big_pkey app.exact_pkey app.small_to_big_idx
--! integrity.foreign_key_type_mismatch app.small_to_big.small_to_big_fk
--! not fk.unindexed app.small_to_big.small_to_big_fk : int and bigint share an operator family
create table app.int_to_exact (exact int constraint int_to_exact_fk references app.exact);
create index int_to_exact_idx on app.int_to_exact (exact);
--! clean app.int_to_exact_idx
--! integrity.foreign_key_type_mismatch app.int_to_exact.int_to_exact_fk
--! fk.unindexed app.int_to_exact.int_to_exact_fk
create table app.words (word text primary key);
create table app.said (word varchar constraint said_fk references app.words, spoken text constraint spoken_fk references app.words);
create index said_word on app.said (word);
create index said_spoken on app.said (spoken collate "C");
--! clean app.words_pkey app.said_word app.said_spoken
--! not integrity.foreign_key_type_mismatch app.said.said_fk : varchar holds every text
--! not fk.unindexed app.said.said_fk
--! fk.unindexed app.said.spoken_fk : under another collation the key is not looked for

-- Several schemas, unlogged, inheritance, temporary.
create schema other;
create table other.none (one int references app.one);
create index none_one on other.none (one);
--! clean other.none.none_one_fkey other.none_one
create unlogged table app.fleeting_one (id int primary key);
create unlogged table app.fleeting (one int references app.fleeting_one);
--! clean app.fleeting_one_pkey
--! fk.unindexed app.fleeting.fleeting_one_fkey
create table app.base (one int references app.one);
create table app.derived (constraint derived_fk foreign key (one) references app.one) inherits (app.base);
create index base_one on app.base (one);
--! clean app.base.base_one_fkey app.base_one
--! fk.unindexed app.derived.derived_fk : an inheriting table has its own key and its own indexes
create temp table passing_one (id int primary key);
create temp table passing (one int references passing_one);
--! clean pg_temp.passing_one_pkey pg_temp.passing.passing_one_fkey
--! not fk.unindexed pg_temp.passing.passing_one_fkey

-- An invalid index serves nothing.
create table app.broken (one int references app.one);
create index broken_one on app.broken (one);
update pg_index set indisvalid = false where indexrelid = 'app.broken_one'::regclass;
--! index.invalid app.broken_one
--! fk.unindexed app.broken.broken_one_fkey
