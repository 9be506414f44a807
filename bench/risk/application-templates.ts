/** More statements of applications and their reports, where the planner's cost is right and where it is known to be wrong. */
import { batch, large, moment, orders, statuses, tables, withKinds } from './tables.ts';
import { template } from './template.ts';
import type { Template } from './template.ts';

const town = (d: { int(least: number, most: number): number }): string => `'town ${d.int(0, 300)}'`;
const month = (d: { int(least: number, most: number): number }, first = 1, last = 8): string =>
  `'2026-0${d.int(first, last)}-0${d.int(1, 9)}'`;

export const applicationTemplates: readonly Template[] = [
  // Pages of an application.
  template(
    'sign_in',
    (d) =>
      `select ${d.pick(['id', '*', 'id, name, status'])} from customer where ${d.pick(['email', 'lower(email)'])} = 'user${d.int(1, 9000)}@example.org'${d.pick(['', ` and status = 'active'`])}`,
  ),
  template(
    'order_page',
    (d) =>
      `select ${d.pick(['o.id, o.total, c.name', 'o.*, c.*', 'o.id, c.email'])}, (select ${d.pick(['count(*)', 'sum(i.price * i.quantity)', `string_agg(p.name, ', ')`])} from order_item as i join product as p on p.id = i.product_id where i.order_id = o.id) from orders as o join customer as c on c.id = o.customer_id where ${d.pick([`o.id = ${d.int(1, 9000)}`, `o.customer_id = ${d.int(1, 900)}`, `o.id between ${d.int(1, 50)} and ${d.int(300, 900)}`])}`,
  ),
  template(
    'customer_page',
    (d) =>
      `select c.id, (select ${d.pick(['count(*)', 'max(o.ordered_at)'])} from orders as o where o.customer_id = c.id), (select ${d.pick(['count(*) from review as r where r.customer_id = c.id', 'count(*) from address as a where a.customer_id = c.id', 'sum(v.total) from invoice as v where v.customer_id = c.id', 'max(t.opened_at) from ticket as t where t.customer_id = c.id'])}) from customer as c where ${d.pick([`c.id = ${d.int(1, 9000)}`, `c.email = 'user${d.int(1, 9000)}@example.org'`, `c.id between ${d.int(1, 20)} and ${d.int(40, 60)}`])}`,
  ),
  template(
    'product_search',
    (d) =>
      `select id, name, price from product where ${d.pick([`name ilike '%${d.int(1, 99)}%'`, `name like 'product ${d.int(1, 9)}%'`, `description like '%${d.int(10, 99)}%'`])} and price between ${d.int(1, 30)} and ${d.int(40, 200)}${d.pick(['', ' and active', ` and category_id = ${d.int(1, 50)}`])} order by ${d.pick(['price', 'name', 'id'])} limit 20 offset ${d.int(0, 60)}`,
  ),
  template(
    'complete',
    (d) =>
      `select ${d.pick(['name', 'id, name', 'distinct name'])} from ${d.pick(['product', 'customer', 'category', 'country'])} where ${d.pick(['name like', 'lower(name) like', 'name >='])} '${d.pick(['pro', 'cu', 'ca'])}%' order by name limit 10`,
  ),
  template('next_page', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(['*', 'id'])} from ${t.name} where (${t.time}, id) < (${moment(d, t)}, ${d.int(1, t.rows)}) order by ${t.time} desc, id desc limit ${d.pick([20, 50])}`;
  }),
  template(
    'work_queue',
    (d) =>
      `select id, customer_id from ticket where state = 'open'${d.pick(['', ` and priority > ${d.int(0, 2)}`, ` and customer_id is not null`])} order by ${d.pick(['priority desc, opened_at', 'opened_at', 'id'])} limit ${d.pick([1, 10])}${d.pick(['', ' for update skip locked', ' for update'])}`,
    true,
  ),
  template('dashboard', (d) => {
    const t = d.pick(withKinds);
    const [column, values] = d.pick(t.kinds);
    return `select count(*) filter (where ${column} = '${d.pick(values)}') as a, count(*) filter (where ${d.pick(t.numbers)} > ${d.int(1, 500)}) as b, ${d.pick(['max', 'avg'])}(${d.pick(t.numbers)}) as c from ${t.name} where ${d.pick([`${t.time} > ${moment(d, t)}`, `${t.time} >= ${moment(d, t, 30)} and ${t.time} < ${moment(d, t, 60)}`])}`;
  }),
  template('total', (d) => `select count(*) from ${d.pick(tables).name}${d.pick(['', ' where id > 0'])}`),
  template('is_there_any', (d) => {
    const t = d.pick(tables);
    return `select exists (select from ${t.name} where ${d.pick([`${d.pick(t.plain)} = ${d.int(1, 9000)}`, `${d.pick(t.indexed)} = ${d.int(1, 9000)}`, `${d.pick(t.texts)} = 'nothing like it ${d.int(1, 9)}'`])})`;
  }),
  template(
    'latest_orders_from',
    (d) =>
      `select o.id, o.total, c.name from orders as o join customer as c on c.id = o.customer_id where ${d.pick([`c.city = 'city ${d.int(1, 100)}0'`, `c.country_id = ${d.int(1, 120)}`, `c.status = 'blocked'`, `c.balance > ${d.int(990, 999)}`])} order by o.${d.pick(['ordered_at', 'id', 'total'])} desc limit ${d.pick([5, 50])}`,
  ),
  template(
    'feed',
    (d) =>
      `select e.kind, e.happened_at, c.name from event as e join customer as c on c.id = e.customer_id where ${d.pick([`e.kind = '${d.pick(['buy', 'view'])}'`, `e.session_id > ${d.int(1, 900)}`, `c.country_id = ${d.int(1, 30)}`])} order by ${d.pick(['e.happened_at desc', 'e.id desc', 'e.duration desc nulls last'])} limit ${d.pick([20, 100])}`,
  ),
  // Estimates that multiply what hangs together, or know the mean of what is skewed.
  template(
    'address_of_town',
    (d) =>
      `select ${d.pick(['count(*)', 'id, street', '*'])} from address where ${d.pick([`town = ${town(d)}`, `postcode = '0${d.int(1000, 3000)}'`, `town = ${town(d)} and postcode like '0${d.int(1, 9)}%'`, `country_id = ${d.int(1, 60)} and town = ${town(d)}`, `street = 'street ${d.int(1, 900)}' and town = ${town(d)}`])}${d.pick(['', ' and is_default'])} ${d.pick(['group by id', 'group by id order by id limit 20'])}`,
  ),
  template(
    'neighbours',
    (d) =>
      `select ${d.pick(['count(*)', 'count(distinct b.customer_id)', 'max(b.id)'])} from address as a join address as b on b.${d.pick(['town', 'postcode', 'street'])} = a.${d.pick(['town', 'postcode', 'street'])} and b.id <> a.id where ${d.pick([`a.customer_id = ${d.int(1, 4000)}`, `a.id between ${d.int(1, 40)} and ${d.int(100, 200)}`, `a.town = ${town(d)}`])}`,
  ),
  template(
    'orders_of_town',
    (d) =>
      `select ${d.pick(['count(*)', 'sum(o.total)', 'max(o.ordered_at)'])} from address as a join orders as o on o.customer_id = a.customer_id ${d.pick(['', 'join order_item as i on i.order_id = o.id'])} where a.town = ${town(d)}${d.pick(['', ` and a.country_id = ${d.int(1, 60)}`, ` and a.postcode like '00%'`])}${d.pick(['', ` and o.status = '${d.pick(statuses)}'`])}`,
  ),
  template(
    'status_and_date',
    (d) =>
      `select ${d.pick(['count(*)', 'id', 'sum(total)'])} from orders where status = '${d.pick(statuses)}' and ordered_at ${d.pick([`> ${moment(d, orders)}`, `between ${moment(d, orders, 30)} and ${moment(d, orders, 60)}`, `< ${moment(d, orders, 10)}`])}${d.pick(['', ' and shipped_at is not null', ` and channel = 'web'`])} group by ${d.pick(['id', 'id, status'])}`,
  ),
  template('either', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(['count(*)', 'max(id)'])} from ${t.name} where ${d.pick(t.indexed)} = ${d.int(1, 900)} or ${d.pick([...t.plain, ...t.indexed])} = ${d.int(1, 900)}${d.pick(['', ` or id = ${d.int(1, 900)}`])}`;
  }),
  template('wrapped_column', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(['count(*)', 'min(id)'])} from ${t.name} where ${d.pick([`date(${t.time}) = ${moment(d, t)}`, `extract(year from ${t.time}) = 2025`, `id::text like '${d.int(1, 99)}%'`, `coalesce(${d.pick(t.plain)}, 0) = ${d.int(1, 60)}`, `to_char(${t.time}, 'YYYY-MM') = '2024-0${d.int(6, 9)}'`])}`;
  }),
  template(
    'slow_deliveries',
    (d) =>
      `select ${d.pick(['count(*)', 'status, count(*)', 'channel, avg(total)'])} from orders where shipped_at - ordered_at > interval '${d.int(1, 4)} days'${d.pick(['', ` and ordered_at > ${moment(d, orders)}`, ` and total > ${d.int(10, 900)}`])} group by ${d.pick(['status', 'channel'])}, channel, status`,
  ),
  template('each_of_a_list', (d) => {
    const t = d.pick(tables);
    return `select count(*) from ${t.name} as t join (values ${Array.from({ length: d.pick([3, 20, 60]) }, () => `(${d.int(1, 3000)})`).join(', ')}) as v (k) on t.${d.pick([...t.indexed, ...t.plain])} = v.k`;
  }),
  template(
    'unpaid',
    (d) =>
      `select ${d.pick(['count(*)', 'max(o.total)'])} from orders as o where o.customer_id = ${d.int(1, 600)} and ${d.pick(['not exists (select from payment as p where p.order_id = o.id)', 'o.id not in (select p.order_id from payment as p where p.amount > 1900)', '(select sum(p.amount) from payment as p where p.order_id = o.id) < o.total', 'o.total > (select avg(x.total) from orders as x where x.customer_id = o.customer_id)'])}`,
  ),
  // Partitions.
  template('readings_of_sensor', (d) => {
    const [what, end] = d.pick([
      ['*', ' order by read_at desc limit 100'],
      ['avg(value)', ''],
      ['max(value), min(value)', ''],
    ]);
    return `select ${what} from reading where sensor_id ${d.pick([`= ${d.int(1, 300)}`, `in (${d.int(1, 99)}, ${d.int(100, 200)}, ${d.int(201, 300)})`])}${d.pick(['', ` and read_at > ${month(d)}`, ` and read_at >= ${month(d, 1, 3)} and read_at < ${month(d, 4, 6)}`])}${d.pick(['', ' and quality > 2'])}${end}`;
  }),
  template(
    'readings_by_period',
    (d) =>
      `select date_trunc('${d.pick(['hour', 'day', 'month'])}', read_at) as period, ${d.pick(['avg(value)', 'count(*)', 'stddev(value)', 'count(distinct sensor_id)'])} from reading where read_at ${d.pick([`> ${month(d)}`, `between ${month(d, 1, 3)} and ${month(d, 4, 8)}`])} group by 1${d.pick(['', ' order by 1', ' order by 2 desc limit 5'])}`,
  ),
  template('last_of_each_sensor', (d) =>
    d.pick([
      `select distinct on (sensor_id) sensor_id, read_at, value from reading order by sensor_id, read_at desc`,
      `select s.id, l.value from generate_series(1, ${d.int(20, 60)}) as s (id) cross join lateral (select value from reading where sensor_id = s.id order by read_at desc limit 1) as l`,
      `select sensor_id, max(read_at) from reading group by sensor_id`,
      `select r.* from reading as r join (select sensor_id, max(read_at) as at from reading where read_at > ${month(d)} group by 1) as m on m.sensor_id = r.sensor_id and m.at = r.read_at`,
      `select distinct on (sensor_id) sensor_id, value from reading where read_at > ${month(d, 6, 8)} order by sensor_id, read_at desc`,
      `select sensor_id, (array_agg(value order by read_at desc))[1] from reading where quality = ${d.int(0, 4)} group by 1`,
    ]),
  ),
  // Reports.
  template(
    'invoices_of_period',
    (d) =>
      `select ${d.pick(['count(*), sum(v.total)', 'v.customer_id, sum(l.price * l.quantity)', 'v.paid, max(v.total)'])} from invoice as v ${d.pick(['join invoice_line as l on l.invoice_id = v.id', 'join invoice_line as l on l.invoice_id = v.id join product as p on p.id = l.product_id'])} where v.issued_on ${d.pick([`= date '2024-0${d.int(6, 9)}-15'`, `between date '2024-07-0${d.int(1, 9)}' and date '2024-1${d.int(0, 2)}-01'`, `> date '2025-0${d.int(1, 9)}-01'`])} group by v.customer_id, v.paid`,
  ),
  template(
    'compare_periods',
    (d) =>
      `with a as (select ${d.pick(['customer_id', 'channel', 'status'])} as k, sum(total) as s from orders where ordered_at < ${moment(d, orders)} group by 1), b as (select ${d.pick(['customer_id', 'channel', 'status'])}::text as k, count(*) as n from orders where ordered_at >= ${moment(d, orders)} group by 1) select ${d.pick(['count(*)', 'max(a.s)'])} from a full join b on b.k = a.k::text`,
  ),
  template('set_operation', (d) => {
    const t = d.pick(tables.filter(({ parents }) => parents.some(([, parent]) => parent === 'customer')));
    const column = t.parents.find(([, parent]) => parent === 'customer')?.[0] ?? 'id';
    return `select count(*) from (select id from customer where ${d.pick(['status = ' + `'active'`, `balance > ${d.int(100, 900)}`, 'true'])} ${d.pick(['except', 'intersect', 'except all', 'union'])} select ${column} from ${t.name}${d.pick(['', ` where ${t.time} > ${moment(d, t)}`])}) as s`;
  }),
  template('share_of_whole', (d) => {
    const t = d.pick(withKinds);
    const [column] = d.pick(t.kinds);
    return `select ${column}, ${d.pick([`count(*) * 100.0 / sum(count(*)) over ()`, `sum(sum(${d.pick(t.numbers)})) over (order by ${column})`, `rank() over (order by count(*) desc)`])} from ${t.name}${d.pick(['', ` where ${t.time} > ${moment(d, t)}`])} group by ${column}`;
  }),
  template('before_and_after', (d) => {
    const t = d.pick(large);
    return `select ${d.pick(['max', 'avg', 'count'])}(x) from (select extract(epoch from ${t.time} - lag(${t.time}) over (${d.pick(['', `partition by ${d.pick([...t.indexed, ...t.plain])} `])}order by ${d.pick([t.time, 'id'])})) as x from ${t.name}${d.pick(['', ` where ${t.time} > ${moment(d, t)}`])}) as s`;
  }),
  template('best_of_each', (d) => {
    const t = d.pick(withKinds);
    return `select count(*) from (select id, row_number() over (partition by ${d.pick([...t.indexed, ...t.plain])} order by ${d.pick([t.time, ...t.numbers])} desc) as n, ntile(${d.int(4, 10)}) over (order by ${d.pick(t.numbers)}) as part from ${t.name}) as s where n <= ${d.int(1, 3)}${d.pick(['', ' and part = 1'])}`;
  }),
  template('distinct_per_group', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick([...t.plain, ...t.indexed])} as k, ${d.pick([`count(distinct ${d.pick(t.texts)})`, `array_agg(distinct ${d.pick(t.numbers)})`, `string_agg(distinct ${d.pick(t.texts)}, ',')`, `percentile_cont(0.5) within group (order by ${d.pick(t.numbers)})`])} from ${t.name}${d.pick(['', ` where ${t.time} > ${moment(d, t)}`, ` where ${batch(d, 'id', 9000)}`])} group by 1${d.pick(['', ' order by 2 limit 10'])}`;
  }),
  template(
    'bought_together',
    (d) =>
      `select b.product_id, count(*) from order_item as a join order_item as b on b.order_id = a.order_id and b.product_id <> a.product_id where a.product_id ${d.pick([`= ${d.int(1, 200)}`, `in (select id from product where category_id = ${d.int(1, 60)})`, `between ${d.int(1, 10)} and ${d.int(20, 60)}`])} group by 1 order by 2 desc limit ${d.pick([5, 20])}`,
  ),
  template('wide_sort', (d) => {
    const t = d.pick(['review', 'order_item', 'inventory']);
    return `select count(*) from (select ${d.pick(['r.*, p.name', 'r.product_id, p.description', 'p.*'])} from ${t} as r join product as p on p.id = r.product_id order by ${d.pick(['p.name', 'p.price', 'p.description'])}${d.pick(['', ', p.id', ' desc'])} offset 0) as s`;
  }),
  template('random_rows', (d) =>
    d.pick([
      `select * from ${d.pick(tables).name} order by random() limit ${d.pick([1, 10])}`,
      `select count(*) from ${d.pick(tables).name} tablesample system (${d.int(1, 9)})`,
      `select id from ${d.pick(tables).name} tablesample bernoulli (${d.int(1, 9)}) order by id limit 10`,
    ]),
  ),
];
