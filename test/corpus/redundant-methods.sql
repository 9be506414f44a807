-- Every access method: what is the same under one is not under another.
create schema app;

create table app.hashed (a int, b int);
create index hashed_tree on app.hashed (a);
create index hashed_hash on app.hashed using hash (a);
create index hashed_hash_too on app.hashed using hash (a);
create index hashed_tree_ab on app.hashed (a, b);
--! index.redundant app.hashed_tree app.hashed_hash_too
--! clean app.hashed_hash app.hashed_tree_ab
--! not index.redundant app.hashed_hash

create table app.brins (a int, b int);
create index brins_a on app.brins using brin (a);
create index brins_ab on app.brins using brin (a, b);
create index brins_fine on app.brins using brin (a) with (pages_per_range = 8);
create index brins_auto on app.brins using brin (a) with (autosummarize = on);
create index brins_same on app.brins using brin (a) with (pages_per_range = 128);
create index brins_minmax_multi on app.brins using brin (a int4_minmax_multi_ops);
create index brins_bloom on app.brins using brin (a int4_bloom_ops);
--! index.redundant app.brins_a app.brins_same
--! clean app.brins_ab app.brins_fine app.brins_auto app.brins_minmax_multi app.brins_bloom
--! not index.redundant app.brins_fine app.brins_auto app.brins_bloom

create table app.documents (body jsonb, tags text[], words tsvector, numbers int[]);
create index documents_body on app.documents using gin (body);
create index documents_body_path on app.documents using gin (body jsonb_path_ops);
create index documents_body_again on app.documents using gin (body jsonb_ops);
create index documents_tags on app.documents using gin (tags);
create index documents_tags_words on app.documents using gin (tags, words);
create index documents_words on app.documents using gist (words);
create index documents_words_long on app.documents using gist (words tsvector_ops (siglen = 200));
create index documents_numbers on app.documents using gin (numbers) with (fastupdate = off);
--! clean app.documents_body app.documents_body_path app.documents_tags_words app.documents_words app.documents_words_long app.documents_numbers
--! index.redundant app.documents_body_again app.documents_tags
--! not index.redundant app.documents_body_path app.documents_words_long

create table app.places (spot point, area box, during tsrange, name text, address inet);
create index places_spot on app.places using gist (spot);
create index places_spot_again on app.places using gist (spot);
create index places_spot_sp on app.places using spgist (spot);
create index places_spot_kd on app.places using spgist (spot kd_point_ops);
create index places_spot_sp_again on app.places using spgist (spot);
create index places_area on app.places using gist (area);
create index places_area_during on app.places using gist (area, during);
create index places_during on app.places using spgist (during);
create index places_name on app.places using spgist (name);
create index places_address on app.places using gist (address inet_ops);
create index places_address_sp on app.places using spgist (address);
create index places_spot_with on app.places using gist (spot) include (name);
--! index.redundant app.places_spot app.places_spot_again : both are in the one that includes a column
--! clean app.places_spot_sp app.places_spot_kd app.places_area_during app.places_during app.places_name
--! clean app.places_address app.places_address_sp app.places_spot_with
--! index.redundant app.places_spot_sp_again app.places_area
--! not index.redundant app.places_spot_kd app.places_address_sp

-- Ranges, enums, domains and arrays in B-trees.
create type app.mood as enum ('sad', 'glad');
create domain app.positive as int check (value > 0);
create table app.typed (mood app.mood, amount app.positive, many int[], span int4range);
create index typed_mood on app.typed (mood);
create index typed_mood_amount on app.typed (mood, amount);
create index typed_amount on app.typed (amount);
create index typed_many on app.typed (many);
create index typed_many_gin on app.typed using gin (many);
create index typed_span on app.typed (span);
create index typed_span_gist on app.typed using gist (span);
--! index.redundant app.typed_mood
--! clean app.typed_mood_amount app.typed_amount app.typed_many app.typed_many_gin app.typed_span app.typed_span_gist
--! not index.redundant app.typed_many app.typed_span
