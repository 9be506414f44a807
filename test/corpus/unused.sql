-- Judged on what is known now: everything that was scanned here was scanned by the queries below.
--! config features.index_cleanup.days_unused 0
--! config features.index_cleanup.min_scans 3
create schema app;
create table app.book (id int primary key, title text, year int, pages int, shelf int, code text unique) with (autovacuum_enabled = false);
insert into app.book select i, 't' || i, 1900 + i % 100, i, i % 10, 'c' || i from generate_series(1, 2000) as i;
create index book_title on app.book (title);
create index book_year on app.book (year);
create index book_pages on app.book (pages);
create index book_shelf on app.book (shelf);
create unique index book_title_once on app.book (title, id);
--! clean app.book_pkey app.book_code_key app.book_title_once
--! index.unused app.book_pages app.book_shelf app.book_title
--! not index.unused app.book_pkey app.book_code_key app.book_title_once : they enforce something
--! not index.redundant app.book_title : one index, one finding that drops it
--! clean app.book_year
--! not index.unused app.book_year

-- Scanned, but too seldom; scanned often enough by a bitmap, or for its order.
create table app.visit (at int, place int, who int, bits int) with (autovacuum_enabled = false);
insert into app.visit select i, i % 50, i % 40, i % 30 from generate_series(1, 2000) as i;
create index visit_at on app.visit (at);
create index visit_place on app.visit (place);
create index visit_who on app.visit (who);
create index visit_bits on app.visit (bits);
--! index.unused app.visit_at : scanned twice
--! clean app.visit_place app.visit_who
--! index.unused app.visit_bits
--! not index.unused app.visit_place app.visit_who

-- Every access method counts.
create table app.shape (spot point, tags int[], at int, kind int) with (autovacuum_enabled = false);
insert into app.shape select point(i, i), array[i], i, i % 5 from generate_series(1, 1000) as i;
create index shape_spot on app.shape using gist (spot);
create index shape_spot_sp on app.shape using spgist (spot);
create index shape_tags on app.shape using gin (tags);
create index shape_at on app.shape using brin (at);
create index shape_kind on app.shape using hash (kind);
--! index.unused app.shape_spot app.shape_spot_sp app.shape_tags app.shape_at app.shape_kind
create table app.shape_read (spot point, tags int[], at int, kind int) with (autovacuum_enabled = false);
insert into app.shape_read select point(i, i), array[i], i, i % 5 from generate_series(1, 1000) as i;
create index shape_read_spot on app.shape_read using gist (spot);
create index shape_read_tags on app.shape_read using gin (tags);
create index shape_read_at on app.shape_read using brin (at);
create index shape_read_kind on app.shape_read using hash (kind);
--! clean app.shape_read_spot app.shape_read_tags app.shape_read_at app.shape_read_kind
--! not index.unused app.shape_read_tags app.shape_read_at

-- Exclusion, replica identity, clustered, referenced.
create table app.stay (during int4range, constraint stay_once exclude using gist (during with &&));
create table app.copied (a int not null, b int);
create unique index copied_a on app.copied (a);
alter table app.copied replica identity using index copied_a;
create index copied_b on app.copied (b);
alter table app.copied cluster on copied_b;
--! clean app.stay_once app.copied_a app.copied_b
--! not index.unused app.stay_once app.copied_a app.copied_b

-- What serves a foreign key on the referencing side; what only looks as if.
create table app.author (id int primary key, a int, b int, unique (a, b));
create table app.wrote (author int constraint wrote_author references app.author, a int, b int, id int,
  constraint wrote_pair foreign key (a, b) references app.author (a, b));
create index wrote_author_idx on app.wrote (author);
create index wrote_ba on app.wrote (b, a);
create index wrote_id on app.wrote (id);
create index wrote_partial on app.wrote (author) where id > 5;
--! clean app.author_pkey app.author_a_b_key app.wrote.wrote_author app.wrote.wrote_pair
--! clean app.wrote_author_idx app.wrote_ba
--! index.unused app.wrote_id : named like the referenced column
--! index.unused app.wrote_partial
--! not index.redundant app.wrote_partial
--! not index.unused app.wrote_author_idx app.wrote_ba

-- Expression indexes whose statistics the planner uses; partial ones.
create table app.mail (address text, state text, at int);
insert into app.mail select 'A' || i, 's' || i % 3, i from generate_series(1, 1000) as i;
create index mail_lower on app.mail (lower(address));
create index mail_open on app.mail (at) where state = 's1';
analyze app.mail;
create index mail_upper on app.mail (upper(address));
--! clean app.mail_lower
--! not index.unused app.mail_lower : the planner uses its statistics
--! index.unused app.mail_open app.mail_upper

-- Trees: scans of any partition are the tree's; one finding at the root.
create table app.log (k int, a int, b int) partition by list (k);
create table app.log_1 partition of app.log for values in (1) with (autovacuum_enabled = false);
create table app.log_2 partition of app.log for values in (2) with (autovacuum_enabled = false);
insert into app.log select 1 + i % 2, i, i from generate_series(1, 2000) as i;
create index log_a on app.log (a);
create index log_b on app.log (b);
create index log_1_own on app.log_1 (k);
--! clean app.log_a app.log_1_a_idx app.log_2_a_idx
--! index.unused app.log_b app.log_1_own
--! clean app.log_1_b_idx app.log_2_b_idx
--! not index.unused app.log_1_b_idx app.log_2_a_idx

-- Names, schemas, unlogged; temporary ones end by themselves.
create schema "Other one";
create unlogged table "Other one"."T" (a int, "B c" int);
create index "book_year" on "Other one"."T" (a);
create index "I;--" on "Other one"."T" ("B c");
--! index.unused "Other one".book_year "Other one"."I;--"
create temp table passing (a int);
create index passing_a on passing (a);
--! clean pg_temp.passing_a
--! not index.unused pg_temp.passing_a

-- An invalid one is step 3's.
create table app.half (a int);
create index half_a on app.half (a);
update pg_index set indisvalid = false where indexrelid = 'app.half_a'::regclass;
--! index.invalid app.half_a
--! not index.unused app.half_a

-- One that belongs to an extension is reported (and never dropped by us).
create extension citext schema public;
create table app.owned (a int);
create index owned_a on app.owned (a);
alter extension citext add table app.owned;
--! index.unused app.owned_a

set enable_seqscan = off;
select count(*) from app.book where year = 1950;
select count(*) from app.book where year = 1951;
select count(*) from app.book where year = 1952;
select count(*) from app.visit where at = 1;
select count(*) from app.visit where at = 2;
set enable_indexscan = off; set enable_indexonlyscan = off;
select count(*) from app.visit where place = 1;
select count(*) from app.visit where place = 2;
select count(*) from app.visit where place = 3;
reset enable_indexscan; reset enable_indexonlyscan; set enable_bitmapscan = off;
select who from app.visit order by who limit 1;
select who from app.visit order by who limit 1;
select who from app.visit order by who limit 1;
reset enable_bitmapscan;
select count(*) from app.shape_read where spot <@ box '(1,1),(3,3)';
select count(*) from app.shape_read where spot <@ box '(1,1),(4,4)';
select count(*) from app.shape_read where spot <@ box '(1,1),(5,5)';
select count(*) from app.shape_read where tags @> array[1];
select count(*) from app.shape_read where tags @> array[2];
select count(*) from app.shape_read where tags @> array[3];
select count(*) from app.shape_read where kind = 1;
select count(*) from app.shape_read where kind = 2;
select count(*) from app.shape_read where kind = 3;
select count(*) from app.shape_read where at = 1;
select count(*) from app.shape_read where at = 2;
select count(*) from app.shape_read where at = 3;
select count(*) from app.log_1 where a = 1;
select count(*) from app.log_2 where a = 2;
select count(*) from app.log where a = 3;
select count(*) from app.book where id = 5;
