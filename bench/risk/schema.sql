-- A shop with 14 tables, made with skew (few customers and products have most of the orders, few kinds most of the
-- events), correlation (city follows country, ship date follows order date, price follows category) and indexes as people
-- have them: on keys, on most foreign keys, on some other columns. bench.scale multiplies the rows.
select setseed(0.42);

create table region (id int primary key, name text not null, code text);
insert into region select n, 'region ' || n, chr(65 + n % 26) || n from generate_series(1, 12) as n;

create table country (id int primary key, region_id int not null references region, name text not null, code text);
insert into country select n, 1 + n % 12, 'country ' || n, 'C' || n from generate_series(1, 120) as n;

create table category (id int primary key, parent_id int references category, name text not null, depth int not null);
insert into category select n, case when n > 10 then 1 + n % 10 end, 'category ' || n, case when n > 10 then 2 else 1 end
  from generate_series(1, 300) as n;

create table warehouse (id int primary key, country_id int not null references country, name text, capacity int);
insert into warehouse select n, 1 + n % 120, 'warehouse ' || n, n * 1000 from generate_series(1, 40) as n;

create table customer (id int primary key, country_id int not null references country, city text not null,
  email text not null, name text not null, status text not null, balance numeric(12, 2) not null,
  signed_up timestamptz not null, preferences jsonb not null);
insert into customer
  select n, 1 + (120 * power(random(), 3))::int % 120, 'city ' || ((120 * power(random(), 3))::int % 120) * 10 + n % 7,
    'user' || n || '@example.org', 'customer ' || md5(n::text),
    (array['active', 'active', 'active', 'active', 'dormant', 'blocked'])[1 + (random() * 5)::int],
    round((random() * 1000)::numeric, 2), timestamptz '2024-01-01' + n * interval '13 minutes',
    jsonb_build_object('language', (array['en', 'de', 'fr'])[1 + n % 3], 'newsletter', n % 4 = 0, 'theme', n % 9)
  from generate_series(1, (40000 * :scale)::int) as n;
create unique index on customer (email);
create index on customer (country_id);
create index on customer (signed_up);

create table product (id int primary key, category_id int not null references category, name text not null,
  description text not null, price numeric(10, 2) not null, weight float8 not null, tags text[] not null,
  active boolean not null);
insert into product
  select n, 1 + (300 * power(random(), 2))::int % 300, 'product ' || n, repeat(md5(n::text) || ' ', 3 + n % 20),
    round((10 + (n % 300) * random())::numeric, 2), random() * 50, array['t' || n % 40, 'u' || n % 7], n % 11 <> 0
  from generate_series(1, (12000 * :scale)::int) as n;
create index on product (category_id);
create index on product using gin (tags);

create table inventory (warehouse_id int not null references warehouse, product_id int not null references product,
  quantity int not null, updated_at timestamptz not null, primary key (warehouse_id, product_id));
insert into inventory
  select w, p, (random() * 500)::int, timestamptz '2026-01-01' + p * interval '1 minute'
  from generate_series(1, 40) as w, generate_series(1, (12000 * :scale)::int) as p where (w + p) % 4 = 0;

create table orders (id int primary key, customer_id int not null references customer, status text not null,
  ordered_at timestamptz not null, shipped_at timestamptz, total numeric(12, 2) not null, channel text not null,
  note text);
insert into orders
  select n, 1 + ((40000 * :scale - 1) * power(random(), 4))::int,
    (array['new', 'paid', 'shipped', 'shipped', 'shipped', 'shipped', 'shipped', 'returned'])[1 + (random() * 7)::int],
    timestamptz '2024-06-01' + n * interval '4 minutes',
    timestamptz '2024-06-01' + n * interval '4 minutes' + random() * interval '5 days',
    round((random() * random() * 2000)::numeric, 2), (array['web', 'web', 'web', 'app', 'phone'])[1 + (random() * 4)::int],
    case when n % 5 = 0 then repeat('note ' || md5(n::text), 4) end
  from generate_series(1, (150000 * :scale)::int) as n;
create index on orders (customer_id);
create index on orders (ordered_at);
create index on orders (status) where status <> 'shipped';

create table order_item (id int primary key, order_id int not null references orders, product_id int not null
  references product, quantity int not null, price numeric(10, 2) not null, discount float8 not null);
insert into order_item
  select n, 1 + (n - 1) / 3, 1 + ((12000 * :scale - 1) * power(random(), 3))::int, 1 + (random() * 4)::int,
    round((random() * 300)::numeric, 2), random() * 0.3
  from generate_series(1, (450000 * :scale)::int) as n;
create index on order_item (order_id);
create index on order_item (product_id);

create table payment (id int primary key, order_id int not null references orders, method text not null,
  amount numeric(12, 2) not null, paid_at timestamptz not null, reference text not null);
insert into payment
  select n, n, (array['card', 'card', 'card', 'invoice', 'cash'])[1 + (random() * 4)::int],
    round((random() * 2000)::numeric, 2), timestamptz '2024-06-01' + n * interval '4 minutes', md5(n::text || 'p')
  from generate_series(1, (140000 * :scale)::int) as n;
create index on payment (paid_at);

create table review (id int primary key, product_id int not null references product, customer_id int not null
  references customer, stars int not null, body text not null, written_at timestamptz not null);
insert into review
  select n, 1 + ((12000 * :scale - 1) * power(random(), 3))::int, 1 + ((40000 * :scale - 1) * power(random(), 2))::int,
    1 + (random() * 4)::int, repeat(md5(n::text) || ' good ' || md5((n * 7)::text) || ' ', 2 + n % 12),
    timestamptz '2024-06-01' + n * interval '9 minutes'
  from generate_series(1, (60000 * :scale)::int) as n;
create index on review (product_id);

create table ticket (id int primary key, customer_id int references customer, subject text not null, body text not null,
  priority int not null, state text not null, opened_at timestamptz not null, closed_at timestamptz);
insert into ticket
  select n, case when n % 7 <> 0 then 1 + ((40000 * :scale - 1) * random())::int end, 'subject ' || n % 500,
    repeat('please help ' || md5(n::text) || ' ', 4 + n % 30), n % 4,
    (array['open', 'closed', 'closed', 'closed', 'closed'])[1 + n % 5], timestamptz '2024-06-01' + n * interval '20 minutes',
    timestamptz '2024-06-01' + n * interval '20 minutes' + random() * interval '9 days'
  from generate_series(1, (25000 * :scale)::int) as n;

create table event (id bigint primary key, session_id int not null, customer_id int, kind text not null,
  happened_at timestamptz not null, payload jsonb not null, duration float8);
insert into event
  select n, 1 + n / 8, case when n % 3 = 0 then 1 + ((40000 * :scale - 1) * power(random(), 3))::int end,
    (array['view', 'view', 'view', 'view', 'view', 'click', 'click', 'cart', 'buy'])[1 + (random() * 8)::int],
    timestamptz '2026-01-01' + n * interval '20 seconds',
    jsonb_build_object('page', '/p/' || n % 900, 'agent', md5((n % 50)::text), 'ms', n % 1000), random() * 60
  from generate_series(1, (400000 * :scale)::int) as n;
create index on event (happened_at);
create index on event (session_id);

create table audit (id bigint primary key, table_name text not null, row_id int not null, changed_by text not null,
  changed_at timestamptz not null, old_row jsonb, new_row jsonb);
insert into audit
  select n, (array['orders', 'customer', 'product'])[1 + n % 3], (random() * 10000)::int, 'user ' || n % 90,
    timestamptz '2025-01-01' + n * interval '2 minutes', jsonb_build_object('a', md5(n::text), 'b', n),
    jsonb_build_object('a', md5((n + 1)::text), 'b', n + 1, 'c', repeat('x', n % 200))
  from generate_series(1, (120000 * :scale)::int) as n;

-- Functions as applications have them, of which the planner takes each to cost the same: one looks up rows, one formats,
-- one computes.
create function order_total(of_order int) returns numeric language plpgsql stable as
  $$ begin return (select sum(i.quantity * i.price) from order_item as i where i.order_id = of_order); end $$;
create function order_label(of_order int, status text) returns text language plpgsql stable as
  $$ begin return format('%s (%s)', lpad(of_order::text, 9, '0'), upper(status)); end $$;
create function round_up(amount numeric) returns numeric language sql immutable as $$ select ceil(amount) $$;
