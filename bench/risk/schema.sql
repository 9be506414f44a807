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

-- Addresses: a postcode lies in one town, a town in one country, which no planner knows without extended statistics; few
-- towns have most people.
create table address (id int primary key, customer_id int not null references customer, country_id int not null references
  country, town text not null, postcode text not null, street text not null, is_default boolean not null);
insert into address
  select n, 1 + n % (40000 * :scale)::int, 1 + t % 120, 'town ' || t, lpad((t * 10 + n % 10)::text, 5, '0'),
    'street ' || (n * 7919) % 4000, n % 3 = 0
  from (select n, (900 * power(random(), 3))::int as t from generate_series(1, (60000 * :scale)::int) as n) as s;
create index on address (customer_id);
create index on address (town);
create index on address (postcode);

-- Documents: most of a row lies in TOAST, compressed or not, of which the planner sees a pointer.
create table document (id int primary key, owner_id int not null references customer, title text not null, body text not null,
  meta jsonb not null, created_at timestamptz not null);
insert into document
  select n, 1 + ((40000 * :scale - 1) * power(random(), 2))::int, 'document ' || n % 700,
    (select string_agg(md5((n * 31 + k)::text), ' ') from generate_series(1, 20 + (n * 7919) % 400) as k),
    jsonb_build_object('language', (array['en', 'de', 'fr'])[1 + n % 3], 'pages', n % 40, 'words',
      (select coalesce(jsonb_agg(md5((n + k)::text)), '[]') from generate_series(1, n % 60) as k)),
    timestamptz '2024-06-01' + n * interval '2 hours'
  from generate_series(1, (5000 * :scale)::int) as n;
create index on document (owner_id);

-- Readings by month: partitions.
create table reading (sensor_id int not null, read_at timestamptz not null, value float8 not null, quality int not null)
  partition by range (read_at);
do $$ begin
  for month in 1 .. 8 loop
    execute format('create table reading_%s partition of reading for values from (%L) to (%L)', month,
      timestamptz '2026-01-01' + (month - 1) * interval '1 month', timestamptz '2026-01-01' + month * interval '1 month');
  end loop;
end $$;
insert into reading select 1 + (n * 7919) % 300, timestamptz '2026-01-01' + n * interval '240 days' / (200000 * :scale), random() * 100,
    n % 5
  from generate_series(0, (200000 * :scale)::int) as n;
create index on reading (sensor_id, read_at);

-- Invoices: lines go with their invoice, and every change of one is written down by a trigger.
create table invoice (id int primary key, customer_id int not null references customer, issued_on date not null,
  total numeric(12, 2) not null, paid boolean not null, changes int not null default 0);
create table invoice_line (id int primary key, invoice_id int not null references invoice on delete cascade,
  product_id int not null references product, quantity int not null, price numeric(10, 2) not null);
insert into invoice select n, 1 + ((40000 * :scale - 1) * power(random(), 3))::int, date '2024-06-01' + n % 600,
    round((random() * 900)::numeric, 2), n % 9 <> 0 from generate_series(1, (30000 * :scale)::int) as n;
insert into invoice_line select n, 1 + (n - 1) / 4, 1 + ((12000 * :scale - 1) * random())::int, 1 + n % 5,
    round((random() * 200)::numeric, 2) from generate_series(1, (120000 * :scale)::int) as n;
create index on invoice (customer_id);
create index on invoice (issued_on);
create index on invoice_line (invoice_id);
create table invoice_change (invoice_id int not null, changed_at timestamptz not null, before jsonb, after jsonb);
create function note_invoice_change() returns trigger language plpgsql as $$
begin
  insert into invoice_change values (new.id, now(), to_jsonb(old), to_jsonb(new));
  new.changes := new.changes + 1;
  return new;
end $$;
create trigger note_change before update on invoice for each row execute function note_invoice_change();

-- More functions: a loop that computes, one that asks the tables twice, and two that give rows, as many as nobody says.
create function check_digit(of_text text) returns int language plpgsql immutable strict as $$
declare
  sum int := 0;
begin
  for place in 1 .. length(of_text) loop
    sum := sum + ascii(substr(of_text, place, 1)) * place;
  end loop;
  return sum % 97;
end $$;
create function customer_level(of_customer int) returns text language plpgsql stable as $$
declare
  spent numeric;
begin
  select sum(o.total) into spent from orders as o where o.customer_id = of_customer;
  if spent > 5000 and exists (select from review as r where r.customer_id = of_customer and r.stars = 5) then
    return 'gold';
  end if;
  return case when spent > 1000 then 'silver' else 'none' end;
end $$;
create function with_vat(amount numeric) returns numeric language plpgsql immutable as $$ begin return round(amount * 1.19, 2); end $$;
create function working_days(since date, until date) returns setof date language plpgsql stable as $$
begin
  return query select d::date from generate_series(since, until, interval '1 day') as d where extract(isodow from d) < 6;
end $$;
create function bought_by(of_customer int) returns table (product_id int, pieces bigint) language sql stable as $$
  select i.product_id, sum(i.quantity) from orders as o join order_item as i on i.order_id = o.id
  where o.customer_id = of_customer group by i.product_id $$;
