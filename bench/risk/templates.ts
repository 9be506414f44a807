/** Statements in the manner of an application's, its reports' and its people's: each template makes many. */

import {
  aggregates,
  batch,
  columnsOf,
  kindOf,
  large,
  moment,
  orders,
  statuses,
  tables,
  withJson,
  withKinds,
  withParents,
} from './tables.ts';
import { applicationTemplates } from './application-templates.ts';
import { computingTemplates } from './computing-templates.ts';
import { controlTemplates } from './control-templates.ts';
import { template, writing } from './template.ts';
import type { Template } from './template.ts';

const firstTemplates: readonly Template[] = [
  template('by_key', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(['*', 'id', columnsOf(t).join(', ')])} from ${t.name} where id = ${d.int(1, t.rows)}`;
  }),
  template('by_keys', (d) => {
    const t = d.pick(tables);
    const n = d.pick([3, 12, 40, 90]);
    return `select ${d.pick(columnsOf(t))} from ${t.name} where id in (${Array.from({ length: n }, () => d.int(1, t.rows)).join(', ')})`;
  }),
  template('by_indexed_column', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(columnsOf(t))} from ${t.name} where ${d.pick(t.indexed)} = ${d.int(1, 3000)}`;
  }),
  template('latest_of_one', (d) => {
    const t = d.pick(tables);
    return `select * from ${t.name} where ${d.pick([...t.indexed, ...t.plain])} = ${d.int(1, 3000)} order by ${t.time} desc limit ${d.pick([1, 10, 50])}`;
  }),
  template('by_plain_column', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(columnsOf(t))} from ${t.name} where ${d.pick(t.plain)} = ${d.int(1, 400)}`;
  }),
  template('count_since', (d) => {
    const t = d.pick(tables);
    return `select count(*) from ${t.name} where ${t.time} >= ${moment(d, t)}${d.pick(['', ` and ${d.pick(t.plain)} > ${d.int(1, 100)}`])}`;
  }),
  template('count_between', (d) => {
    const t = d.pick(tables);
    return `select count(*) from ${t.name} where ${t.time} between ${moment(d, t, 20)} and ${moment(d, t, 90)}`;
  }),
  template('by_day', (d) => {
    const t = d.pick(tables);
    return `select date_trunc('${d.pick(['day', 'month', 'hour'])}', ${t.time}) as period, count(*), ${d.pick(aggregates)}(${d.pick(t.numbers)}) from ${t.name} group by 1 order by 1`;
  }),
  template('count_by_kind', (d) => {
    const t = d.pick(withKinds);
    const [c] = d.pick(t.kinds);
    return `select ${c}, count(*) from ${t.name} group by ${c} order by ${d.pick(['2 desc', '1'])}`;
  }),
  template('figures_by_kind', (d) => {
    const t = d.pick(withKinds);
    const [c] = d.pick(t.kinds);
    return `select ${c}, ${d.pick(aggregates)}(${d.pick(t.numbers)}), ${d.pick(aggregates)}(${d.pick(t.numbers)} * 2) from ${t.name} where ${t.time} > ${moment(d, t)} group by ${c}`;
  }),
  template('top_by_number', (d) => {
    const t = d.pick(tables);
    return `select id, ${d.pick(columnsOf(t))} from ${t.name} order by ${d.pick(t.numbers)} ${d.pick(['desc', 'asc'])} limit ${d.pick([1, 20, 100])}`;
  }),
  template('page_by_key', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(['*', ...columnsOf(t)])} from ${t.name} where id > ${d.int(1, t.rows)} order by id limit ${d.pick([10, 100])}`;
  }),
  template('far_page', (d) => {
    const t = d.pick(tables);
    return `select * from ${t.name} order by ${d.pick(['id', t.time, t.numbers[0] ?? 'id'])} limit 20 offset ${d.int(1000, 20_000)}`;
  }),
  template('sorted_export', (d) => {
    const t = d.pick(tables);
    return `select count(*) from (select ${d.pick(columnsOf(t))} from ${t.name} order by ${d.pick(t.texts)}${d.pick(['', ', id', ' desc'])} offset 0) as s`;
  }),
  template('join_one_parent', (d) => {
    const t = d.pick(withParents);
    const [c, p] = d.pick(t.parents);
    return `select c.id, p.* from ${t.name} as c join ${p} as p on p.id = c.${c} where c.id = ${d.int(1, t.rows)}`;
  }),
  template('children_of_parent', (d) => {
    const t = d.pick(withParents);
    const [c, p] = d.pick(t.parents);
    return `select p.id, c.* from ${p} as p join ${t.name} as c on c.${c} = p.id where p.id = ${d.int(1, 100)}`;
  }),
  template('join_all', (d) => {
    const t = d.pick(withParents);
    const [c, p] = d.pick(t.parents);
    return `select count(*), ${d.pick(aggregates)}(c.${d.pick(t.numbers)}) from ${t.name} as c join ${p} as p on p.id = c.${c} where ${d.pick(['p.id > 20', `c.${t.time} > ${moment(d, t)}`, 'true'])}`;
  }),
  template(
    'order_lines',
    (d) =>
      `select o.id, i.quantity, p.name from orders as o join order_item as i on i.order_id = o.id join product as p on p.id = i.product_id where o.${d.pick(['id', 'customer_id'])} = ${d.int(1, 5000)}${d.pick(['', ' order by i.id', ` and p.active`, ' and i.quantity > 1'])}`,
  ),
  template(
    'revenue_by_category',
    (d) =>
      `select k.name, sum(i.${d.pick(['price', 'quantity', 'discount'])}) from order_item as i join product as p on p.id = i.product_id join category as k on k.id = p.category_id ${d.pick(['', `where k.id = ${d.int(1, 300)}`, `where k.depth = 2`, `where p.active`, `where k.parent_id = ${d.int(1, 10)}`])} group by k.name${d.pick(['', ' order by 2 desc', ' order by 2 desc limit 5', ' having count(*) > 10'])}`,
  ),
  template(
    'revenue_by_country',
    (d) =>
      `select l.name, ${d.pick(['count(*)', 'sum(o.total)', 'avg(o.total)'])} from orders as o join customer as c on c.id = o.customer_id join country as l on l.id = c.country_id where ${d.pick([`o.ordered_at > '2025-0${d.int(1, 9)}-01'`, `l.region_id = ${d.int(1, 12)}`, `o.status = '${d.pick(statuses)}'`, `c.status = 'blocked'`, `l.id = ${d.int(1, 120)}`])} group by l.name`,
  ),
  template('exists_child', (d) => {
    const t = d.pick(withParents);
    const [c, p] = d.pick(t.parents);
    return `select count(*) from ${p} as p where ${d.pick(['', 'not '])}exists (select from ${t.name} as c where c.${c} = p.id${d.pick(['', ` and c.${t.time} > ${moment(d, t)}`])})`;
  }),
  template('in_subquery', (d) => {
    const t = d.pick(withParents);
    const [c, p] = d.pick(t.parents);
    return `select ${d.pick(['count(*)', 'max(p.id)'])} from ${p} as p where p.id ${d.pick(['in', 'not in'])} (select c.${c} from ${t.name} as c where c.${c} is not null and c.${d.pick(t.numbers)} > ${d.int(1, 500)})`;
  }),
  template('scalar_subquery', (d) => {
    const t = d.pick(withParents);
    const [c, p] = d.pick(t.parents);
    return `select p.id, (select ${d.pick(['count(*)', `max(c.${t.time})`])} from ${t.name} as c where c.${c} = p.id) from ${p} as p where p.id between ${d.int(1, 50)} and ${d.int(51, 70)}`;
  }),
  template('prefix', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(['count(*)', 'min(id)'])} from ${t.name} where ${d.pick(t.texts)} like '${d.pick(['user1', 'note a', 'please', '3f'])}%'`;
  }),
  template('infix', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(['count(*)', 'max(id)', 'min(id), max(id)'])} from ${t.name} where ${d.pick(t.texts)} ${d.pick(['like', 'ilike'])} '%${d.pick(['abc', '77', 'good'])}%'`;
  }),
  template('regular_expression', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(['count(*)', 'max(id)'])} from ${t.name} where ${d.pick(t.texts)} ${d.pick(['~', '~*'])} '${d.pick(['[0-9]+a[0-9]+b', '^.*ff.*0$', '(ab|cd)+e'])}'`;
  }),
  template('json_field', (d) => {
    const t = d.pick(withJson);
    const j = d.pick(t.jsons);
    return `select ${d.pick(['count(*)', `max(${t.time})`])} from ${t.name} where ${j} ${d.pick([`->> 'a' = 'x'`, `->> 'page' = '/p/7'`, `@> '{"theme": 3}'`, `? 'agent'`])}`;
  }),
  template('json_by_field', (d) => {
    const t = d.pick(withJson);
    const j = d.pick(t.jsons);
    return `select ${j} ->> '${d.pick(['page', 'agent', 'language', 'b'])}' as f, count(*) from ${t.name} where ${t.time} > ${moment(d, t)} group by 1 order by 2 desc limit 10`;
  }),
  template('count_distinct', (d) => {
    const t = d.pick(tables);
    return `select count(distinct ${d.pick([...t.plain, ...t.texts, ...t.indexed])}) from ${t.name}${d.pick(['', ` where ${t.time} > ${moment(d, t)}`])}`;
  }),
  template('distinct_rows', (d) => {
    const t = d.pick(withKinds);
    return `select distinct ${d.pick(t.kinds)[0]}, ${d.pick(t.plain)} from ${t.name}${d.pick(['', ' order by 1, 2 limit 10'])}`;
  }),
  template('row_numbers', (d) => {
    const t = d.pick(withKinds);
    return `select count(*) from (select id, ${d.pick(['row_number', 'rank', 'dense_rank'])}() over (partition by ${d.pick(t.kinds)[0]} order by ${d.pick(t.numbers)}) as place from ${t.name}) as s where place <= ${d.int(1, 10)}`;
  }),
  template('running_sum_of_one', (d) => {
    const t = d.pick(tables);
    return `select ${t.time}, sum(${d.pick(t.numbers)}) over (order by ${t.time}) from ${t.name} where ${d.pick([...t.indexed, ...t.plain])} = ${d.int(1, 2000)}`;
  }),
  template('moving_average', (d) => {
    const t = d.pick(tables);
    return `select max(a) from (select avg(${d.pick(t.numbers)}) over (order by ${d.pick([t.time, 'id'])} rows between ${d.pick([5, 20])} preceding and current row) as a from ${t.name}) as s`;
  }),
  template('common_table', (d) => {
    const t = d.pick(withParents);
    const [c, p] = d.pick(t.parents);
    return `with g as (select ${c} as k, count(*) as n from ${t.name} group by ${c}) select ${d.pick(['count(*)', 'max(g.n)', 'avg(g.n)'])} from g join ${p} as p on p.id = g.k where g.n > ${d.int(1, 5)}`;
  }),
  template('materialized_common_table', (d) => {
    const t = d.pick(tables);
    return `with w as materialized (select * from ${t.name} where ${d.pick(t.plain)} > ${d.int(1, 50)}) select ${d.pick(['count(*)', 'min(id)', 'max(id)'])} from w where ${batch(d, 'id', 10_000)}`;
  }),
  template(
    'category_tree',
    (d) =>
      `with recursive tree as (select id, parent_id, 1 as level from category where ${d.pick(['parent_id is null', `id = ${d.int(1, 10)}`])} union all select c.id, c.parent_id, t.level + 1 from category as c join tree as t on c.parent_id = t.id) select ${d.pick(['count(*)', 'max(level)', 'level, count(*)'])} from tree${d.pick(['', ' where level > 1', ' where id > 5'])} group by level`,
  ),
  template('union_all', (d) => {
    const a = d.pick(tables);
    const b = d.pick(tables);
    return `select count(*) from (select id, ${a.time} as at from ${a.name} where ${a.time} > ${moment(d, a)} ${d.pick(['union all', 'union'])} select id, ${b.time} from ${b.name} where ${b.time} > ${moment(d, b)}) as u`;
  }),
  template('latest_for_each', (d) => {
    const t = d.pick(withParents);
    const [c, p] = d.pick(t.parents);
    return `select ${d.pick(['count(l.id)', `max(l.${t.time})`])} from ${p} as p cross join lateral (select * from ${t.name} as c where c.${c} = p.id order by c.${d.pick(['id', t.time])} desc limit ${d.pick([1, 3])}) as l where p.id in (${Array.from({ length: d.pick([5, 20]) }, () => d.int(1, 300)).join(', ')})`;
  }),
  template('collect', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(t.plain)}, ${d.pick([`string_agg(${d.pick(t.texts)}, ',')`, 'array_agg(id)', 'jsonb_agg(id)'])} from ${t.name} where ${t.time} > ${moment(d, t)} group by 1 ${d.pick(['', 'order by 1 limit 10', 'having count(*) > 50'])}`;
  }),
  template('percentile', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(['percentile_cont(0.9)', 'percentile_disc(0.5)', 'mode()'])} within group (order by ${d.pick([...t.numbers, t.time].slice(0, 1))}) from ${t.name}${d.pick(['', ` where ${t.time} > ${moment(d, t)}`])}`;
  }),
  template('duplicates', (d) => {
    const t = d.pick(tables);
    const c = d.pick(t.texts);
    return `select ${d.pick(['count(*)', 'min(a.id)'])} from ${t.name} as a join ${t.name} as b on b.${c} = a.${c} and b.id > a.id where ${batch(d, 'a.id', 400)} and ${batch(d, 'b.id', 9000)}`;
  }),
  template('expressions', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick([`count(md5(${d.pick(t.texts)}))`, `sum(length(${d.pick(t.texts)}))`, `max(regexp_replace(${d.pick(t.texts)}, '[a-f]+', '', 'g'))`, `count(distinct to_char(${t.time}, 'YYYY-MM'))`, `sum(sqrt(abs(${d.pick(t.numbers)}::float8)))`])} from ${t.name}${d.pick(['', ` where ${t.time} > ${moment(d, t)}`])}`;
  }),
  template('by_expression', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(['*', 'id'])} from ${t.name} where ${d.pick(['lower', 'upper', 'md5'])}(${d.pick(t.texts)}) = 'x${d.int(1, 9)}'`;
  }),
  template('extremes', (d) => {
    const t = d.pick(tables);
    return `select min(${d.pick([t.time, 'id', ...t.numbers])}), max(${d.pick([t.time, 'id', ...t.numbers])}) from ${t.name}`;
  }),
  template('pivot', (d) => {
    const t = d.pick(withKinds);
    const [c, v] = d.pick(t.kinds);
    return `select date_trunc('month', ${t.time}) as month, ${v.map((value, i) => `sum(case when ${c} = '${value}' then ${d.pick(t.numbers)} else 0 end) as k${i}`).join(', ')} from ${t.name} group by 1`;
  }),
  template('rollup', (d) => {
    const t = d.pick(withKinds);
    return `select ${d.pick(t.kinds)[0]}, ${d.pick(t.plain)}, count(*) from ${t.name} group by ${d.pick(['rollup', 'cube'])} (1, 2) order by 3 desc limit 20`;
  }),
  template(
    'stock',
    (d) =>
      `select ${d.pick(['sum(quantity)', 'count(*)', 'max(updated_at)'])} from inventory where ${d.pick([`product_id = ${d.int(1, 9000)}`, `warehouse_id = ${d.int(1, 40)}`, `warehouse_id = ${d.int(1, 40)} and product_id = ${d.int(1, 9000)}`, `quantity < ${d.int(1, 10)}`, `updated_at > '2026-01-05'`])}`,
  ),
  template(
    'tags',
    (d) =>
      `select ${d.pick(['count(*)', 'id', 'max(price)', 'avg(weight)'])} from product where ${d.pick([`tags @> array['t${d.int(1, 39)}']`, `tags && array['t1', 'u${d.int(1, 6)}']`, `'u2' = any (tags)`])}${d.pick([' and active', ' and price > 20', ' and category_id = 3'])} group by ${d.pick(['id', 'active, id'])}`,
  ),
  template(
    'cross_join',
    (d) =>
      `select ${d.pick(['count(*)', 'max(a.id + b.id)', 'sum(a.id)'])} from ${d.pick(['category', 'country', 'warehouse'])} as a cross join ${d.pick(['category', 'country', 'warehouse', 'region'])} as b ${d.pick(['', 'cross join region as c', 'cross join warehouse as c'])} where a.id <> b.id`,
  ),
  template('outer_join', (d) => {
    const t = d.pick(withParents);
    const [c, p] = d.pick(t.parents);
    return `select count(*) from ${p} as p left join ${t.name} as c on c.${c} = p.id${d.pick(['', ` and c.${t.time} > ${moment(d, t)}`])} where ${d.pick(['c.id is null', 'p.id < 1000', 'true'])}`;
  }),
  template('recent_kind', (d) => {
    const t = d.pick(withKinds);
    return `select ${d.pick(columnsOf(t))} from ${t.name} where ${kindOf(d, t)} order by ${d.pick([t.time, 'id'])} desc limit ${d.pick([5, 25])}`;
  }),
  template('not_indexed_pair', (d) => {
    const t = d.pick(large);
    return `select id from ${t.name} where ${d.pick(t.plain)} between ${d.int(1, 40)} and ${d.int(41, 60)} and ${t.time} ${d.pick(['>', '<'])} ${moment(d, t)} ${d.pick(['', 'limit 10', 'order by id limit 10'])}`;
  }),
  // What the templates before lacked and applications have: conditions that say nearly the same (a city is in one country, an
  // order is shipped days after it), which the planner multiplies as if they were independent; functions of very different
  // price, all of which it takes to cost the same; text search without an index; JSON taken apart; and forms whose fields
  // may be left empty.
  template('correlated_pair', (d) => {
    const where = d.pick([
      `c.country_id = ${d.int(1, 12)} and c.city like 'city ${d.int(1, 9)}%'`,
      `c.city = 'city ${d.int(1, 12)}0' and c.country_id < ${d.int(10, 60)}`,
      `c.signed_up > '2024-02-01' and c.id > ${d.int(2000, 6000)}`,
    ]);
    return d.pick([
      `select count(*) from customer as c where ${where}`,
      `select count(*), max(o.total) from customer as c join orders as o on o.customer_id = c.id where ${where}`,
      `select c.id, count(*) from customer as c join orders as o on o.customer_id = c.id join order_item as i on i.order_id = o.id where ${where} group by c.id order by 2 desc limit 10`,
    ]);
  }),
  template(
    'shipped_in_time',
    (d) =>
      `select ${d.pick(['count(*)', 'avg(o.total)', 'max(o.shipped_at - o.ordered_at)'])} from orders as o ${d.pick(['', 'join payment as p on p.order_id = o.id', 'join customer as c on c.id = o.customer_id'])} where o.ordered_at >= ${moment(d, orders, 30)} and o.shipped_at < ${moment(d, orders, 60)} and o.shipped_at >= o.ordered_at`,
  ),
  template('function_for_each', (d) => {
    const call = d.pick(['order_total(o.id)', 'order_label(o.id, o.status)', 'round_up(o.total)']);
    return d.pick([
      `select o.id, ${call} from orders as o where o.customer_id = ${d.int(1, 400)}`,
      `select ${call.includes('label') ? 'count' : 'sum'}(${call}) from orders as o where o.id between ${d.int(1, 90)} and ${d.int(1500, 2500)}`,
      `select count(*) from orders as o where ${call} is not null and o.ordered_at < '2024-06-1${d.int(0, 9)}'`,
    ]);
  }),
  template('text_search', (d) => {
    const t = d.pick(tables);
    return `select ${d.pick(['count(*)', 'id', 'max(id)'])} from ${t.name} where to_tsvector('${d.pick(['english', 'simple'])}', ${d.pick(t.texts)}) @@ plainto_tsquery('${d.pick(['english', 'simple'])}', 'help') and ${batch(d, 'id', 6000)}${d.pick(['', ` and ${t.time} is not null`])} group by ${d.pick(['id', 'id, ' + t.time])} limit 20`;
  }),
  template('json_each', (d) => {
    const t = d.pick(withJson);
    return `select f.key, count(*) from ${t.name} as t cross join lateral jsonb_each_text(t.${d.pick(t.jsons)}) as f where t.${t.time} > ${moment(d, t)}${d.pick(['', ` and ${batch(d, 't.id', 5000)}`])} group by 1${d.pick(['', ' order by 2 desc', ' having count(*) > 3'])}`;
  }),
  template('form_with_empty_fields', (d) => {
    const t = d.pick(withKinds);
    const [column, values] = d.pick(t.kinds);
    return `select ${d.pick(['count(*)', 'max(id)', 'min(id)'])} from ${t.name} where (${d.int(0, 1)} = 0 or ${column} = '${d.pick(values)}') and (${d.int(0, 1)} = 0 or ${d.pick(t.texts)} like 'a%') and (${d.int(0, 1)} = 0 or id = ${d.int(1, 5000)})`;
  }),
  writing('update_one', (d) => {
    const t = d.pick(tables);
    return `update ${t.name} set ${d.pick(t.numbers)} = ${d.pick(t.numbers)} + 1 where id = ${d.int(1, t.rows)}`;
  }),
  writing('update_indexed', (d) => {
    const t = d.pick(tables);
    return `update ${t.name} set ${t.time} = ${t.time} + interval '1 second' where id between ${d.int(1, 500)} and ${d.pick([510, 3000, 9000])}`;
  }),
  writing('update_many', (d) => {
    const t = d.pick(tables);
    const c = d.pick(t.numbers);
    return `update ${t.name} set ${c} = ${c} where ${d.pick(t.plain)} = ${d.int(1, 60)}`;
  }),
  writing('insert_one', (d) =>
    d.pick([
      `insert into payment values (${d.int(1_000_000, 9_000_000)}, ${d.int(1, 9000)}, 'card', 10.5, now(), 'r')`,
      `insert into review values (${d.int(1_000_000, 9_000_000)}, 1, ${d.int(1, 900)}, 5, 'good', now())`,
      `insert into order_item values (${d.int(1_000_000, 9_000_000)}, ${d.int(1, 9000)}, 2, 1, 5, 0)`,
      `insert into event values (${d.int(1_000_000, 9_000_000)}, 1, null, 'view', now(), '{}', 0)`,
      `insert into ticket values (${d.int(1_000_000, 9_000_000)}, ${d.int(1, 900)}, 's', 'b', 1, 'open', now(), null)`,
      `insert into audit values (${d.int(1_000_000, 9_000_000)}, 'orders', 1, 'me', now(), null, '{}')`,
    ]),
  ),
  writing('insert_many', (d) => {
    const t = d.pick(['audit', 'event', 'payment', 'order_item', 'review']);
    return `insert into ${t} select ${d.pick({ audit: ['n, table_name, row_id, changed_by, changed_at, old_row, new_row'], event: ['n, session_id, customer_id, kind, happened_at, payload, duration'], payment: ['n, order_id, method, amount, paid_at, reference'], order_item: ['n, order_id, product_id, quantity, price, discount'], review: ['n, product_id, customer_id, stars, body, written_at'] }[t] ?? [])} from (select row_number() over () + 10000000 as n, s.* from ${t} as s where ${d.pick(['id between 1 and 400', 'id between 1 and 4000', 'id <= 12000', `${tables.find(({ name }) => name === t)?.time ?? 'id'} is not null and id < 900`])}) as s`;
  }),
  writing(
    'delete_one',
    (d) =>
      `delete from ${d.pick(['review', 'ticket', 'payment', 'audit', 'event', 'order_item'])} where id = ${d.int(1, 20_000)}`,
  ),
  writing('delete_range', (d) => {
    const t = d.pick(['review', 'ticket', 'payment', 'audit', 'event', 'order_item']);
    return `delete from ${t} where ${d.pick([`id between ${d.int(1, 90)} and ${d.pick([100, 2000, 8000])}`, `id % 50 = ${d.int(0, 49)}`, `id < ${d.pick([50, 600])}`])}`;
  }),
  writing('keep_the_new', (d) =>
    d.pick([
      `delete from ticket where opened_at < '2024-06-0${d.int(2, 9)}' and state = 'closed'`,
      `delete from event where happened_at < '2026-01-0${d.int(2, 9)}'`,
      `delete from audit where changed_at < '2025-01-1${d.int(0, 9)}' and changed_by = 'user ${d.int(1, 80)}'`,
      `delete from address where id in (select id from address where not is_default order by id limit ${d.int(10, 90)})`,
    ]),
  ),
  writing(
    'mark_orders',
    (d) =>
      `update orders set status = '${d.pick(statuses)}' where ${d.pick([`id = ${d.int(1, 9000)}`, `customer_id = ${d.int(1, 900)}`, `ordered_at < '2024-06-0${d.int(2, 9)}'`, `total > ${d.int(1700, 1900)}`])}${d.pick(['', ' returning id', ` and channel = 'web'`])}`,
  ),
];

export const templates: readonly Template[] = [
  ...firstTemplates,
  ...applicationTemplates,
  ...computingTemplates,
  ...controlTemplates,
];
