/** Statements whose time goes where the planner's cost has one price for all: functions, long values, rows made from nothing; and writes. */
import { batch, moment, tables, withJson } from './tables.ts';
import { template, writing } from './template.ts';
import type { Template } from './template.ts';

export const computingTemplates: readonly Template[] = [
  // Values that lie in TOAST.
  template(
    'document_page',
    (d) =>
      `select ${d.pick(['*', 'id, title', 'title, meta', 'id, length(body)'])} from document where ${d.pick([`id = ${d.int(1, 900)}`, `owner_id = ${d.int(1, 900)}`, `id > ${d.int(1, 500)}`])} order by ${d.pick(['id', 'created_at desc'])} limit ${d.pick([1, 20])}`,
  ),
  template(
    'document_search',
    (d) =>
      `select ${d.pick(['count(*)', 'id, title', 'min(id)'])} from document where ${d.pick([`body like '%${d.int(100, 999)}abc%'`, `body ilike '%${d.int(100, 999)}abc%'`, `body ~ '[a-f]{${d.int(6, 8)}}'`, `title = 'document ${d.int(1, 600)}'`, `strpos(body, 'ab${d.int(10, 99)}') > 0`])}${d.pick(['', ` and owner_${batch(d, 'id', 3000)}`])} group by id`,
  ),
  template(
    'document_figures',
    (d) =>
      `select ${d.pick(['sum(length(body))', 'sum(octet_length(body))', 'count(distinct md5(body))', `sum(array_length(string_to_array(body, ' '), 1))`, `max(meta ->> 'pages')`, 'count(title)', 'sum(pg_column_size(body))'])} from document${d.pick(['', ` where created_at > '2024-0${d.int(6, 9)}-01'`, ` where meta ->> 'language' = 'de'`])}`,
  ),
  template(
    'document_words',
    (d) =>
      `select w, count(*) from document as x cross join lateral ${d.pick([`regexp_split_to_table(x.body, ' ')`, `unnest(string_to_array(x.body, ' '))`, `jsonb_array_elements_text(x.meta -> 'words')`])} as w where x.id ${d.pick([`= ${d.int(1, 900)}`, `< ${d.int(50, 300)}`])} group by 1${d.pick(['', ' order by 2 desc limit 10'])}`,
  ),
  // Functions.
  template('level_of_customers', (d) =>
    d.pick([
      `select customer_level(${d.int(1, 4000)})`,
      `select id, customer_level(id) from customer where ${d.pick([`id between ${d.int(1, 20)} and ${d.int(30, 60)}`, `city = 'city ${d.int(1, 110)}0'`, `country_id = ${d.int(1, 110)}`])}`,
      `select count(*) from customer where ${d.pick([`country_id = ${d.int(1, 110)}`, batch(d, 'id', 200)])} and customer_level(id) = 'gold'`,
      `select customer_level(o.customer_id), count(*) from orders as o where o.id between ${d.int(1, 50)} and ${d.int(100, 300)} group by 1`,
    ]),
  ),
  template('price_with_tax', (d) => {
    const [table, column] = d.pick([
      ['product', 'price'],
      ['invoice', 'total'],
      ['order_item', 'price'],
    ]);
    return `select ${d.pick(['sum', 'max', 'count'])}(with_vat(${column})) from ${table} where ${d.pick([`id = ${d.int(1, 900)}`, batch(d, 'id', 9000), `with_vat(${column}) > ${d.int(10, 200)}`])}`;
  }),
  template('check_digits', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick([`check_digit(${d.pick(t.texts)}), count(*)`, `check_digit(id::text), max(id)`])} from ${t.name} where ${d.pick([`id between ${d.int(1, 50)} and ${d.int(400, 900)}`, `id = ${d.int(1, 900)}`, `${d.pick(t.indexed)} = ${d.int(1, 900)}`])} group by 1`;
  }),
  template('bought_by_customers', (d) =>
    d.pick([
      `select * from bought_by(${d.int(1, 900)}) order by pieces desc limit 10`,
      `select p.name, b.pieces from bought_by(${d.int(1, 900)}) as b join product as p on p.id = b.product_id`,
      `select c.id, sum(b.pieces) from customer as c cross join lateral bought_by(c.id) as b where c.id between ${d.int(1, 40)} and ${d.int(60, 120)} group by c.id`,
      `select count(*) from review as r where r.customer_id = ${d.int(1, 900)} and r.product_id in (select b.product_id from bought_by(${d.int(1, 900)}) as b)`,
    ]),
  ),
  // Rows from nothing.
  template('calendar', (d) => {
    const t = d.pick(tables);
    return `select x.day, ${d.pick(['count(t.id)', `max(t.${d.pick(t.numbers)})`])} from generate_series(timestamptz '2024-06-0${d.int(1, 9)}', timestamptz '2024-0${d.pick([7, 9])}-01', interval '1 day') as x (day) left join ${t.name} as t on ${d.pick([`t.${t.time} >= x.day and t.${t.time} < x.day + interval '1 day'`, `date(t.${t.time}) = date(x.day)`])} group by 1${d.pick(['', ' order by 1'])}`;
  }),
  template(
    'numbers',
    (d) =>
      `select ${d.pick(['count(*)', 'sum(n)', 'max(md5(n::text))', 'count(distinct n % 1000)', 'avg(sqrt(n))'])} from generate_series(1, ${d.pick([100, 5000, 200_000])}) as n${d.pick(['', ` where n % ${d.int(2, 9)} = 0`, ` left join product as p on p.id = n`])}`,
  ),
  template('business_days', (d) =>
    d.pick([
      `select count(*) from working_days(date '2024-01-0${d.int(1, 9)}', date '2025-0${d.int(1, 9)}-01')`,
      `select w.day, count(v.id) from working_days(date '2024-07-0${d.int(1, 9)}', date '2024-09-0${d.int(1, 9)}') as w (day) left join invoice as v on v.issued_on = w.day group by 1`,
      `select v.id, (select count(*) from working_days(v.issued_on, v.issued_on + ${d.int(10, 60)})) from invoice as v where v.customer_id = ${d.int(1, 900)}`,
      `select max(n) from (select count(*) as n from invoice as v cross join lateral working_days(v.issued_on, date '2026-02-01') as w (day) where ${batch(d, 'v.id', 200)} group by v.id) as s`,
    ]),
  ),
  template('count_up', (d) => {
    const [first, next] = d.pick([
      ['1 as i', 'i + 1'],
      [`1 as i, '' as t`, `i + 1, t || 'x'`],
      ['1 as i, 1.0::numeric as p', 'i + 1, p * 1.01'],
    ]);
    return `with recursive n as (select ${first} union all select ${next} from n where i < ${d.int(100, 3000)}) select ${d.pick(['count(*)', 'max(i)', 'sum(i * i)'])} from n`;
  }),
  template(
    'reachable',
    (d) =>
      `with recursive r (id, level) as (select ${d.int(1, 300)}, 0 union select b.product_id, r.level + 1 from r join order_item as a on a.product_id = r.id join order_item as b on b.order_id = a.order_id where r.level < ${d.pick([1, 2])} and ${batch(d, 'a.id', 9000)}) select ${d.pick(['count(*)', 'count(distinct id)', 'max(level)'])} from r`,
  ),
  template('unnested_tags', (d) =>
    d.pick([
      `select tag, ${d.pick(['count(*)', 'avg(price)'])} from product cross join lateral unnest(tags) as tag ${d.pick(['', 'where active'])} group by tag${d.pick(['', ' order by 2 desc limit 5'])}`,
      `select p.id from product as p where exists (select from unnest(p.tags) as tag where tag = 't${d.int(1, 39)}')`,
      `select id, array_length(tags, 1), array_to_string(tags, ',') from product where category_id = ${d.int(1, 200)}`,
      `select count(*) from (select id, unnest(tags) from product where price > ${d.int(1, 200)}) as s`,
    ]),
  ),
  // Arithmetic and formats.
  template('heavy_numbers', (d) => {
    const t = d.pick(tables);
    const number = d.pick(t.numbers);
    return `select ${d.pick([`sum(exp(ln(abs(${number}::numeric) + 1)))`, `avg(power(${number}::numeric, 0.3))`, `sum(round(sqrt(${number}::numeric + 1000), 8))`, `sum(${number} * 1.19)`, `var_pop(${number})`])} from ${t.name}${d.pick(['', ` where ${t.time} > ${moment(d, t)}`, ` where ${batch(d, 'id', 9000)}`])}`;
  }),
  template('formatted', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick([`to_char(${t.time}, 'Day DD Month YYYY HH24:MI')`, `format('%s-%s', id, ${d.pick(t.texts)})`, `upper(${d.pick(t.texts)}) || lpad(id::text, 12, '0')`, `initcap(replace(${d.pick(t.texts)}, 'a', 'bb'))`, `encode(sha256(${d.pick(t.texts)}::bytea), 'hex')`])} from ${t.name} where ${d.pick([`id = ${d.int(1, 900)}`, batch(d, 'id', 6000), `${t.time} > ${moment(d, t)}`])}`;
  }),
  template('json_answer', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick([`jsonb_agg(to_jsonb(x))`, `json_agg(json_build_object('id', x.id, 'at', x.${t.time}))`, `jsonb_object_agg(x.id, x.${d.pick(t.texts)})`, `count(row_to_json(x)::text)`])} from ${t.name} as x where ${d.pick([`id between ${d.int(1, 20)} and ${d.int(30, 70)}`, batch(d, 'id', 9000), `${d.pick(t.indexed)} = ${d.int(1, 900)}`])}`;
  }),
  template('json_path', (d) => {
    const t = d.pick(withJson);
    const j = d.pick(t.jsons);
    return `select ${d.pick(['count(*)', 'max(id)'])} from ${t.name} where ${d.pick([`jsonb_path_exists(${j}, '$.* ? (@ == ${d.int(1, 99)})')`, `(${j} ->> '${d.pick(['ms', 'b', 'theme'])}')::int > ${d.int(1, 900)}`, `${j} #>> '{a}' like '%ff%'`, `${j}::text like '%ab%'`, `jsonb_typeof(${j}) = 'array'`])}${d.pick(['', ` and ${batch(d, 'id', 9000)}`])}`;
  }),
  template('masked_text', (d) => {
    const t = d.pick(tables);
    const text = d.pick(t.texts);
    return `select ${d.pick([`max(regexp_replace(${text}, '(\\d+)', '#', 'g'))`, `count(*) filter (where ${text} similar to '%(ab|cd)%')`, `max(translate(${text}, '0123456789', '##########'))`, `count(distinct (regexp_match(${text}, '[0-9]+'))[1])`, `sum(cardinality(regexp_split_to_array(${text}, '\\s')))`])} from ${t.name} where ${d.pick([batch(d, 'id', 6000), `${t.time} > ${moment(d, t)}`, `${text} like '%a%'`])}`;
  }),
  // Writes.
  writing('pay_invoices', (d) =>
    d.pick([
      `update invoice set paid = true where id = ${d.int(1, 8000)}`,
      `update invoice set paid = true, total = total + 1 where customer_id = ${d.int(1, 400)}`,
      `update invoice set paid = not paid where issued_on = date '2024-0${d.int(6, 9)}-1${d.int(0, 9)}'`,
      `update invoice set total = total * 1.01 where id between ${d.int(1, 90)} and ${d.int(400, 900)} returning id`,
      `update invoice as v set total = l.sum from (select invoice_id, sum(price * quantity) as sum from invoice_line where ${batch(d, 'invoice_id', 900)} group by 1) as l where l.invoice_id = v.id`,
    ]),
  ),
  writing('drop_invoices', (d) =>
    d.pick([
      `delete from invoice where id = ${d.int(1, 8000)}`,
      `delete from invoice where id between ${d.int(1, 90)} and ${d.int(200, 900)}`,
      `delete from invoice where customer_id = ${d.int(1, 400)} and not paid`,
      `delete from invoice as v using customer as c where c.id = v.customer_id and c.city = 'city ${d.int(1, 110)}0'`,
      `delete from invoice_line where product_id = ${d.int(1, 3000)}`,
    ]),
  ),
  writing('put', (d) =>
    d.pick([
      `insert into inventory values (${d.int(1, 40)}, ${d.int(1, 2000)}, 5, now()) on conflict (warehouse_id, product_id) do update set quantity = excluded.quantity`,
      `insert into inventory select w, ${d.int(1, 2000)}, 1, now() from generate_series(1, 40) as w on conflict (warehouse_id, product_id) do update set quantity = inventory.quantity + 1`,
      `insert into address select id + 1000000, customer_id, country_id, town, postcode, street, false from address where ${batch(d, 'id', 4000)} on conflict do nothing`,
      `insert into category values (${d.int(1, 300)}, null, 'c', 1) on conflict (id) do update set name = excluded.name returning id`,
    ]),
  ),
  writing('store', (d) =>
    d.pick([
      `insert into document values (${d.int(1_000_000, 2_000_000)}, 1, 't', repeat(md5('x'), ${d.int(10, 900)}), '{}', now())`,
      `insert into document select id + 1000000, owner_id, title, body || 'x', meta, now() from document where ${batch(d, 'id', 400)}`,
      `insert into reading select sensor_id, read_at + interval '1 second', value, quality from reading where sensor_id = ${d.int(1, 300)}`,
      `insert into reading values (${d.int(1, 300)}, '2026-05-01', 1, 1)`,
      `insert into reading select n % 300, timestamptz '2026-03-01' + n * interval '1 minute', 0, 0 from generate_series(1, ${d.int(1000, 20_000)}) as n`,
    ]),
  ),
  writing('change_documents', (d) =>
    d.pick([
      `update document set meta = jsonb_set(meta, '{pages}', '7') where id ${d.pick([`= ${d.int(1, 900)}`, `< ${d.int(100, 900)}`])}`,
      `update document set body = upper(body) where id ${d.pick([`= ${d.int(1, 900)}`, `< ${d.int(50, 300)}`])}`,
      `update document set title = title || '!' where owner_id = ${d.int(1, 900)}`,
      `update customer set preferences = preferences || '{"theme": 1}' where ${d.pick([`id = ${d.int(1, 9000)}`, `country_id = ${d.int(1, 60)}`, `city = 'city ${d.int(1, 110)}0'`])}`,
    ]),
  ),
  writing('stock_taken', (d) =>
    d.pick([
      `update inventory as v set quantity = v.quantity - i.quantity from order_item as i where i.product_id = v.product_id and i.order_id = ${d.int(1, 9000)} and v.warehouse_id = ${d.int(1, 40)}`,
      `update product set price = price * 1.02 where category_id ${d.pick([`= ${d.int(1, 300)}`, `in (select id from category where parent_id = ${d.int(1, 10)})`])}`,
      `update product set active = false where not exists (select from order_item as i where i.product_id = product.id) and ${batch(d, 'id', 3000)}`,
      `update orders set note = 'late' where id in (select o.id from orders as o where o.status = 'new' order by o.ordered_at limit ${d.int(10, 90)})`,
    ]),
  ),
];
