/**
 * Templates that were written after the features of the model, by which nothing of it was chosen: how it does on these
 * alone is told apart. Change the model by what they show, and they control nothing any more.
 */
import { moment, tables, withKinds, withParents } from './tables.ts';
import { template, writing } from './template.ts';
import type { Template } from './template.ts';

const ticket = tables.filter(({ name }) => name === 'ticket');

const made: readonly Template[] = [
  template('control_loyal_customers', (d) => {
    const t = d.pick(
      withParents.filter(({ parents }) => parents.some(([, parent]) => parent === 'customer')),
    );
    return `select c.id, c.name from customer as c where (select count(*) from ${t.name} as t where t.customer_id = c.id${d.pick(['', ` and t.${t.time} > ${moment(d, t)}`])}) >= ${d.int(2, 9)}${d.pick([' and c.city = ' + `'city ${d.int(1, 110)}0'`, ` and c.country_id = ${d.int(1, 110)}`, ` and c.id = ${d.int(1, 5000)}`])}`;
  }),
  template(
    'control_basket_value',
    (d) =>
      `select ${d.pick(['avg(s)', 'percentile_cont(0.5) within group (order by s)', 'max(s), min(s)', 'count(*) filter (where s > 500)'])} from (select i.order_id, sum(i.price * i.quantity * (1 - i.discount::numeric)) as s from order_item as i ${d.pick(['', 'join orders as o on o.id = i.order_id', 'join product as p on p.id = i.product_id'])} ${d.pick(['', `where i.order_id = ${d.int(1, 9000)}`, `where i.product_id = ${d.int(1, 3000)}`])} group by i.order_id) as b`,
  ),
  template(
    'control_price_bands',
    (d) =>
      `select width_bucket(price, 0, ${d.int(200, 400)}, 10) as band, ${d.pick(['count(*)', 'avg(weight)', 'array_agg(id)', 'count(distinct category_id)'])} from product ${d.pick(['', 'where active', `where category_id = ${d.int(1, 300)}`])} group by 1 order by 1`,
  ),
  template('control_last_touch', (d) => {
    const t = d.pick(withParents);
    const [column, parent] = d.pick(t.parents);
    return `select p.id, max(t.${t.time}) as last from ${parent} as p left join ${t.name} as t on t.${column} = p.id group by p.id ${d.pick(['having max(t.' + t.time + ') is null', 'order by 2 desc nulls last limit 20', `having max(t.${t.time}) < ${moment(d, t)}`])}`;
  }),
  template('control_same_day', (d) => {
    const t = d.pick(withKinds);
    return `select count(*) from ${t.name} where ${t.time}::date = date ${moment(d, t)}${d.pick(['', ` and ${d.pick(t.numbers)} > ${d.int(1, 300)}`])}`;
  }),
  template('control_search_all', (d) => {
    const word = `'%${d.int(10, 99)}%'`;
    return `select 'customer' as what, id from customer where ${d.pick(['name', 'email', 'city'])} ilike ${word} union all select 'product', id from product where ${d.pick(['name', 'description'])} ilike ${word} ${d.pick(['', `union all select 'document', id from document where ${d.pick(['title', 'body'])} ilike ${word}`])} ${d.pick(['limit 20', 'order by 2 limit 20', ''])}`;
  }),
  template('control_gaps', (d) => {
    const t = d.pick(tables);
    return `select count(*) from (select id, lead(id) over (order by id) - id as gap from ${t.name}${d.pick(['', ` where ${t.time} > ${moment(d, t)}`, ` where ${d.pick(t.indexed)} = ${d.int(1, 900)}`])}) as g where gap > ${d.int(1, 3)}`;
  }),
  template(
    'control_sensor_pairs',
    (d) =>
      `select a.sensor_id, ${d.pick(['corr(a.value, b.value)', 'avg(a.value - b.value)', 'count(*)'])} from reading as a join reading as b on b.sensor_id = a.sensor_id + 1 and ${d.pick(['b.read_at = a.read_at', `b.read_at::date = a.read_at::date`])} where a.sensor_id ${d.pick([`= ${d.int(1, 299)}`, `in (${d.int(1, 90)}, ${d.int(91, 180)}, ${d.int(181, 299)})`])} group by 1`,
  ),
  writing('control_close_tickets', (d) =>
    d.pick([
      `update ticket set state = 'closed', closed_at = now() where id = ${d.int(1, 5000)}`,
      `update ticket set state = 'closed', closed_at = now() where state = 'open' and opened_at < ${moment(d, d.pick(ticket))}`,
      `update ticket set body = body || ' closed' where customer_id = ${d.int(1, 5000)}`,
      `update ticket as t set priority = 3 from customer as c where c.id = t.customer_id and c.status = 'blocked'`,
    ]),
  ),
  template(
    'control_export',
    (d) =>
      `select ${d.pick([`concat_ws(';', id, title, length(body))`, `jsonb_build_object('id', id, 'title', title, 'meta', meta)`, 'row_to_json(document)', `left(body, 80)`])} from document where ${d.pick([`owner_id = ${d.int(1, 900)}`, `created_at > '2024-0${d.int(6, 9)}-01'`, `meta ->> 'language' = 'en'`, `id = ${d.int(1, 900)}`])}`,
  ),
];

export const controlTemplates: readonly Template[] = made.map((each) => ({
  ...each,
  control: true as const,
}));
