-- The sample database of `npm start`: a small shop with troubles of the kind that real ones have.

create extension amcheck;
create extension pageinspect;
create extension pg_stat_statements;

create schema shop;
create table shop.customer (
  customer_id serial primary key,
  email text not null,
  city text
);
create table shop.product (
  product_id serial primary key,
  name text not null,
  price numeric(10, 2) not null
);
create table shop."Order" (
  order_id bigserial primary key,
  customer_id bigint not null references shop.customer,
  ordered_at timestamptz not null default now(),
  status text not null
);
create table shop.order_item (
  order_id bigint not null references shop."Order",
  product_id int not null references shop.product,
  quantity int not null,
  primary key (order_id, product_id)
);

insert into shop.customer (email, city)
select 'customer' || n || '@example.org', (array['Bergen', 'Graz', 'Porto'])[1 + n % 3]
from generate_series(1, 2000) as n;
insert into shop.product (name, price)
select 'product ' || n, n from generate_series(1, 200) as n;
insert into shop."Order" (customer_id, status)
select 1 + n % 2000, (array['open', 'paid', 'sent'])[1 + n % 3] from generate_series(1, 20000) as n;
insert into shop.order_item
select n, 1 + n % 200, 1 from generate_series(1, 20000) as n;

-- A customer twice: the unique index that somebody tries to build will fail and stay behind, invalid.
insert into shop.customer (email) values ('customer1@example.org');

create index customer_city on shop.customer (city);
create index customer_city_email on shop.customer (city, email);
create index "Order by status; (old)" on shop."Order" (status);

-- A rule that was never checked against the rows from before it.
alter table shop.product add constraint price_positive check (price > 0) not valid;

-- A ticket machine that is nearly out of tickets.
create sequence shop.ticket maxvalue 10000;
select setval('shop.ticket', 9400);

-- A report by month whose index was begun on the parent only.
create table shop.visit (visited_on date not null, page text) partition by range (visited_on);
create table shop.visit_2026_10 partition of shop.visit for values from ('2026-10-01') to ('2026-11-01');
create table shop.visit_2026_11 partition of shop.visit for values from ('2026-11-01') to ('2026-12-01');
create index visit_page on only shop.visit (page);

create materialized view shop.sales as
select i.product_id, sum(i.quantity) as sold from shop.order_item as i group by i.product_id;

-- A log that was tidied up once: the index on it kept the room of what is gone.
create table shop.event (event_id bigserial primary key, happened_at timestamptz not null);
create index event_happened_at on shop.event (happened_at);
insert into shop.event (happened_at)
select now() - n * interval '1 minute' from generate_series(1, 120000) as n;
delete from shop.event where event_id % 10 <> 0;

analyze;
