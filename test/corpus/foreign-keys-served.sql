-- What serves a foreign key: methods, operator classes, collations, parts of composite keys, keys that share an index.
create schema app;
create extension btree_gist schema public;
create extension btree_gin schema public;
create extension citext schema public;
create table app.room (id int primary key);
create table app.word (id text primary key);
create table app.code (id char(8) primary key);
create table app.number (id oid primary key);
create table app.big (id bigint primary key);
create table app.exact (id numeric primary key);
create table app.moment (at timestamptz primary key);
create table app.pair (a int, b int, primary key (a, b), unique (b, a));
--! clean app.room_pkey app.word_pkey app.code_pkey app.number_pkey app.big_pkey app.exact_pkey app.moment_pkey
--! clean app.pair_pkey app.pair_b_a_key

-- Methods: each index serves alone.
create table app.by_hash (room int references app.room); create index by_hash_i on app.by_hash using hash (room);
create table app.by_gist (room int references app.room); create index by_gist_i on app.by_gist using gist (room);
create table app.by_gin (room int references app.room, other int); create index by_gin_i on app.by_gin using gin (other, room);
create table app.by_spgist (word text references app.word); create index by_spgist_i on app.by_spgist using spgist (word);
create table app.by_exclusion (room int references app.room, during tsrange,
  constraint by_exclusion_x exclude using gist (room with =, during with &&));
create table app.by_desc (room int references app.room); create index by_desc_i on app.by_desc (room desc nulls last);
create table app.by_include (room int references app.room, other int); create index by_include_i on app.by_include (room) include (other);
--! clean app.by_hash.by_hash_room_fkey app.by_hash_i app.by_gist.by_gist_room_fkey app.by_gist_i app.by_gin.by_gin_room_fkey app.by_gin_i
--! clean app.by_spgist.by_spgist_word_fkey app.by_spgist_i app.by_exclusion.by_exclusion_room_fkey app.by_exclusion_x
--! clean app.by_desc.by_desc_room_fkey app.by_desc_i app.by_include.by_include_room_fkey app.by_include_i

-- Methods and shapes that do not.
create table app.by_brin (room int references app.room); create index by_brin_i on app.by_brin using brin (room);
create table app.gist_second (room int references app.room, during tsrange); create index gist_second_i on app.gist_second using gist (during, room);
create table app.by_expression (room int references app.room); create index by_expression_i on app.by_expression ((room + 0));
create table app.by_some (room int references app.room, open boolean); create index by_some_i on app.by_some (room) where open;
create table app.by_second (room int references app.room, other int); create index by_second_i on app.by_second (other, room);
create table app.only_included (room int references app.room, other int); create index only_included_i on app.only_included (other) include (room);
--! fk.unindexed app.by_brin.by_brin_room_fkey app.gist_second.gist_second_room_fkey app.by_expression.by_expression_room_fkey
--! fk.unindexed app.by_some.by_some_room_fkey app.by_second.by_second_room_fkey app.only_included.only_included_room_fkey
--! clean app.by_brin_i app.gist_second_i app.by_expression_i app.by_some_i app.by_second_i app.only_included_i

-- Operator classes: the key compares by the referenced column's operator.
create table app.text_to_char (code text references app.code); create index text_to_char_i on app.text_to_char (code);
create table app.text_as_char (code text references app.code); create index text_as_char_i on app.text_as_char (code bpchar_ops);
create table app.citext_to_text (word citext references app.word); create index citext_to_text_i on app.citext_to_text (word);
create table app.citext_as_text (word citext references app.word); create index citext_as_text_i on app.citext_as_text (word text_ops);
create table app.int_to_oid (number int references app.number); create index int_to_oid_i on app.int_to_oid (number);
create table app.int_as_oid (number int references app.number); create index int_as_oid_i on app.int_as_oid (number oid_ops);
create table app.varchar_to_text (word varchar(30) references app.word); create index varchar_to_text_i on app.varchar_to_text (word);
create table app.pattern (word text references app.word); create index pattern_i on app.pattern (word text_pattern_ops);
create table app.int_to_big (big int references app.big); create index int_to_big_i on app.int_to_big (big);
create table app.big_to_int (room bigint references app.room); create index big_to_int_i on app.big_to_int (room);
create table app.date_to_moment (at date references app.moment); create index date_to_moment_i on app.date_to_moment (at);
create table app.int_to_exact (exact int references app.exact); create index int_to_exact_i on app.int_to_exact (exact);
--! fk.unindexed app.text_to_char.text_to_char_code_fkey app.citext_to_text.citext_to_text_word_fkey app.int_to_oid.int_to_oid_number_fkey
--! fk.unindexed app.int_to_exact.int_to_exact_exact_fkey
--! clean app.text_as_char_i app.citext_as_text_i app.int_as_oid_i app.varchar_to_text_i app.pattern_i
--! not fk.unindexed app.text_as_char.text_as_char_code_fkey app.citext_as_text.citext_as_text_word_fkey app.int_as_oid.int_as_oid_number_fkey
--! not fk.unindexed app.varchar_to_text.varchar_to_text_word_fkey app.pattern.pattern_word_fkey app.int_to_big.int_to_big_big_fkey
--! not fk.unindexed app.big_to_int.big_to_int_room_fkey app.date_to_moment.date_to_moment_at_fkey
--! clean app.text_to_char_i app.citext_to_text_i app.int_to_oid_i app.int_to_big_i app.big_to_int_i app.date_to_moment_i app.int_to_exact_i
--! integrity.foreign_key_type_mismatch app.text_to_char.text_to_char_code_fkey app.text_as_char.text_as_char_code_fkey : no plain index serves
--! integrity.foreign_key_type_mismatch app.citext_to_text.citext_to_text_word_fkey app.citext_as_text.citext_as_text_word_fkey : nor here
--! integrity.foreign_key_type_mismatch app.int_to_oid.int_to_oid_number_fkey app.int_as_oid.int_as_oid_number_fkey : nor here
--! integrity.foreign_key_type_mismatch app.int_to_exact.int_to_exact_exact_fkey app.int_to_big.int_to_big_big_fkey : narrower
--! integrity.foreign_key_type_mismatch app.date_to_moment.date_to_moment_at_fkey app.varchar_to_text.varchar_to_text_word_fkey : narrower
--! not integrity.foreign_key_type_mismatch app.big_to_int.big_to_int_room_fkey app.pattern.pattern_word_fkey

-- Composite keys.
create table app.whole (a int, b int, foreign key (a, b) references app.pair); create index whole_i on app.whole (a, b);
create table app.turned (a int, b int, foreign key (a, b) references app.pair); create index turned_i on app.turned (b, a);
create table app.longer (a int, b int, c int, foreign key (a, b) references app.pair); create index longer_i on app.longer (a, b, c);
create table app.parted (a int, b int, c int, foreign key (a, b) references app.pair); create index parted_i on app.parted (a, c, b);
create table app.unique_part (a int, b int unique, foreign key (a, b) references app.pair);
create table app.unique_longer (a int, b int, c int, foreign key (a, b) references app.pair, constraint unique_longer_u unique (b, c));
create table app.any_gin (a int, b int, c int, foreign key (a, b) references app.pair); create index any_gin_i on app.any_gin using gin (b, c, a);
create table app.not_null_part (a int, b int, foreign key (a, b) references app.pair); create index not_null_part_i on app.not_null_part (a, b) where a is not null;
--! clean app.whole.whole_a_b_fkey app.whole_i app.turned.turned_a_b_fkey app.turned_i app.longer.longer_a_b_fkey app.longer_i
--! clean app.unique_part.unique_part_a_b_fkey app.unique_part_b_key app.any_gin.any_gin_a_b_fkey app.any_gin_i
--! clean app.not_null_part.not_null_part_a_b_fkey app.not_null_part_i
--! fk.unindexed app.parted.parted_a_b_fkey app.unique_longer.unique_longer_a_b_fkey
--! clean app.parted_i app.unique_longer_u

-- Several keys on the same columns: each is told, one has the statement.
create table app.shared (room int constraint shared_1 references app.room, constraint shared_2 foreign key (room) references app.room);
--! fk.unindexed app.shared.shared_1 app.shared.shared_2
