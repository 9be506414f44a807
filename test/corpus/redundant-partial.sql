-- Predicates: equal, implied by the server's own reckoning, or not. Expressions: compared position by position.
create schema app;

create table app.jobs (a int, b int, state text, done boolean, at date);
create index jobs_a_open on app.jobs (a) where state = 'open';
create index jobs_a_open_again on app.jobs (a) where state = 'open';
create index jobs_a_open_cast on app.jobs (a) where state = 'open'::text;
create index jobs_a_closed on app.jobs (a) where state = 'closed';
create index jobs_ab_open on app.jobs (a, b) where state = 'open';
--! index.redundant app.jobs_a_open app.jobs_a_open_again app.jobs_a_open_cast : covered by (a, b) with the same predicate
--! clean app.jobs_a_closed app.jobs_ab_open
--! not index.redundant app.jobs_a_closed

-- A wider predicate holds all rows of a narrower one; never the other way.
create table app.ranges (a int, b int);
create index ranges_gt_0 on app.ranges (b) where a > 0;
create index ranges_gt_10 on app.ranges (b) where a > 10;
create index ranges_lt_5 on app.ranges (b) where a < 5;
create index ranges_both on app.ranges (b) where a > 20 and a < 30;
create index ranges_not_null on app.ranges (b) where a is not null;
create index ranges_null on app.ranges (b) where a is null;
--! index.redundant app.ranges_gt_0 app.ranges_gt_10 app.ranges_lt_5 app.ranges_both : a > 0 implies a is not null
--! clean app.ranges_not_null app.ranges_null
--! not index.redundant app.ranges_null
create table app.steps (a int, b int);
create index steps_gt_0 on app.steps (b) where a > 0;
create index steps_gt_10 on app.steps (b) where a > 10;
create index steps_lt_5 on app.steps (b) where a < 5;
create index steps_both on app.steps (b) where a > 20 and a < 30;
--! index.redundant app.steps_gt_10 app.steps_both
--! clean app.steps_gt_0 app.steps_lt_5
--! not index.redundant app.steps_gt_0 app.steps_lt_5

-- An index over all rows covers a partial one, and is never covered by it.
create table app.whole (a int, b int, done boolean);
create index whole_a on app.whole (a);
create index whole_a_open on app.whole (a) where not done;
create index whole_b_open on app.whole (b) where not done;
create index whole_ba_open on app.whole (b, a) where not done;
create index whole_b_done on app.whole (b) where done;
--! clean app.whole_a app.whole_ba_open app.whole_b_done
--! index.redundant app.whole_a_open app.whole_b_open
--! not index.redundant app.whole_a app.whole_b_done

create table app.listed (a int, state text);
create index listed_two on app.listed (a) where state in ('open', 'new');
create index listed_one on app.listed (a) where state = 'new';
create index listed_other on app.listed (a) where state = 'closed';
create index listed_like on app.listed (a) where state like 'n%';
--! clean app.listed_two app.listed_other app.listed_like
--! index.redundant app.listed_one
--! not index.redundant app.listed_like app.listed_other

-- Expressions.
create table app.names (first text, last text, at timestamptz);
create index names_lower on app.names (lower(first));
create index names_lower_again on app.names (lower(first));
create index names_upper on app.names (upper(first));
create index names_lower_last on app.names (lower(last));
create index names_lower_both on app.names (lower(first), lower(last));
create index names_first on app.names (first);
create index names_first_lower on app.names (first, lower(last));
create index names_concat on app.names ((first || last));
create index names_concat_turned on app.names ((last || first));
create index names_lower_c on app.names (lower(first) collate "C");
create index names_left_1 on app.names ("left"(first, 1));
create index names_left_10 on app.names ("left"(first, 10));
--! index.redundant app.names_lower app.names_lower_again app.names_first
--! clean app.names_upper app.names_lower_last app.names_lower_both app.names_first_lower
--! clean app.names_concat app.names_concat_turned app.names_lower_c app.names_left_1 app.names_left_10
--! not index.redundant app.names_upper app.names_concat_turned app.names_left_1 app.names_lower_c

create table app.mixed (a int, b int, c int);
create index mixed_expression_a on app.mixed ((b + c), a);
create index mixed_a_expression on app.mixed (a, (b + c));
create index mixed_expression on app.mixed ((b + c));
create index mixed_expression_turned on app.mixed ((c + b));
create index mixed_expression_open on app.mixed ((b + c)) where a > 0;
--! clean app.mixed_expression_a app.mixed_a_expression app.mixed_expression_turned
--! index.redundant app.mixed_expression app.mixed_expression_open
--! not index.redundant app.mixed_expression_turned

-- A unique partial index enforces what no other does.
create table app.once (a int, done boolean);
create unique index once_open on app.once (a) where not done;
create index once_all on app.once (a);
create unique index once_done on app.once (a) where done;
create index once_open_plain on app.once (a) where not done;
--! clean app.once_open app.once_done app.once_all
--! index.redundant app.once_open_plain
--! not index.redundant app.once_open app.once_done

-- A key that is unique anyway: the partial index is there for the searches by its predicate, which none with more rows serves as well.
create table app.mails (id int primary key, account int not null, seq int not null, read boolean not null, sent date,
  unique (account, seq));
create index mails_unread on app.mails (id) where not read;
create index mails_unread_account on app.mails (account, seq) where not read;
create index mails_unread_twisted on app.mails (seq, account) where not read;
create index mails_seq on app.mails (seq, account, sent);
create index mails_account_only on app.mails (account) where not read;
create unique index mails_unread_once on app.mails (id) where read;
create index mails_unread_again on app.mails (id) where not read;
--! clean app.mails_pkey app.mails_account_seq_key app.mails_unread_account app.mails_unread_twisted app.mails_seq app.mails_unread
--! not index.redundant app.mails_unread app.mails_unread_account app.mails_unread_twisted
--! index.redundant app.mails_unread_again : the same rows
--! index.redundant app.mails_unread_once : unique itself, and needless as the key is unique anyway
--! index.redundant app.mails_account_only : (account) alone is not unique

-- A condition that holds for every row is none.
create table app.filled (a int not null, b int, c int not null);
create index filled_b on app.filled (b);
create index filled_b_a on app.filled (b) where a is not null;
create index filled_c on app.filled (c) where c is not null and b > 5;
create index filled_c_gt_5 on app.filled (c, a) where b > 5;
create index filled_a on app.filled (a) where a is not null and c is not null;
create index filled_ab on app.filled (a, b) where b is not null;
--! clean app.filled_b app.filled_c_gt_5 app.filled_a app.filled_ab
--! index.redundant app.filled_b_a app.filled_c
--! not index.redundant app.filled_a app.filled_ab app.filled_b

-- Enumerations run the server's own code only.
create type app.mood as enum ('sad', 'ok', 'happy');
create table app.moods (a int, m app.mood);
create index moods_happy on app.moods (a) where m = 'happy';
create index moods_known on app.moods (a) where m is not null;
create index moods_good on app.moods (a) where m in ('ok', 'happy');
--! clean app.moods_known
--! index.redundant app.moods_happy app.moods_good
--! not index.redundant app.moods_known

-- A condition that a NOT NULL column is not null leaves no row out, but only a query that says it may use the index.
create table app.said (name text not null, comment text not null);
create unique index said_uniq on app.said (name, comment) where comment is not null;
create index said_name on app.said (name);
--! clean app.said_uniq app.said_name
--! not index.redundant app.said_name : a search by the name alone has no other index
