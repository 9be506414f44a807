import test from 'ava';
import { openSession } from './language.ts';

test('execute returns rows for a query and the number of rows for anything else', async (t) => {
  const session = await openSession(t);
  const results = await session.call(
    `return [
       plv8.execute('create temp table goods (id int, name text)'),
       plv8.execute("insert into goods values (1, 'a'), (2, 'b'), (3, null)"),
       plv8.execute('update goods set id = id + 1 where id > 1 returning id, name'),
       plv8.execute('select * from goods where false'),
       plv8.execute('select'),
       plv8.execute('delete from goods'),
       plv8.execute('show server_encoding'),
       plv8.execute('explain (costs off) select 1'),
       plv8.execute('select 1 as a; select 2 as b'),
       plv8.execute(''),
     ]`,
    'jsonb',
  );
  t.deepEqual(results, [
    0,
    3,
    [
      { id: 3, name: 'b' },
      { id: 4, name: null },
    ],
    [],
    [{}],
    3,
    [{ server_encoding: 'UTF8' }],
    [{ 'QUERY PLAN': 'Result' }],
    [{ b: 2 }],
    0,
  ]);
});

test('parameters are given as an array or one by one, and typed by the statement', async (t) => {
  const session = await openSession(t);
  t.deepEqual(
    await session.call(
      `return [
         plv8.execute('select $1::int + $2::int as v', [1, 2])[0].v,
         plv8.execute('select $1::int + $2::int as v', 1, 2)[0].v,
         plv8.execute('select $1 as v', ['text'])[0].v,
         plv8.execute('select count(*)::int as v from pg_class where relname = any($1)', [['pg_class', 'pg_type']])[0].v,
         plv8.execute('select jsonb_typeof($1) as v', [{}])[0].v,
       ]`,
      'jsonb',
    ),
    [3, 3, 'text', 2, 'object'],
  );
  const cases: [body: string, code: string, message: RegExp][] = [
    [`plv8.execute('select $1::int', [1, 2])`, 'XX000', /parameter numbers mismatch: 1 != 2/],
    [`plv8.execute('select $1::int, $2::int', [1])`, 'XX000', /parameter numbers mismatch: 2 != 1/],
    [`plv8.execute('select $1::int')`, '42P02', /there is no parameter \$1/],
    [`plv8.execute('select $2::int', [1, 2])`, '42P18', /could not determine data type of parameter \$1/],
    [`plv8.execute('select 1\\u0000')`, '22021', /U\+0000/],
    [`plv8.execute('commit')`, '0A000', /cannot begin or end transactions/],
    [`plv8.execute('copy pg_class to stdout')`, '0A000', /cannot COPY/],
  ];
  for (const [body, code, message] of cases) {
    const refusal = await session.failing(body);
    t.is(refusal.code, code, body);
    t.regex(refusal.message, message);
  }
});

test('a failed statement is undone and nothing else', async (t) => {
  const session = await openSession(t);
  await session.client.query('create table kept (id int primary key)');
  await session.call(
    `plv8.execute('insert into kept values (1)');
     try { plv8.execute('insert into kept values (2), (1)') } catch (e) {}
     try { plv8.execute('insert into kept select $1::int / $2::int', [1, 0]) } catch (e) {}
     try { plv8.execute('insert into kept values ($1)', [{ toString() { throw new Error('mine') } }]) } catch (e) {
       if (e.message !== 'mine') throw e;
     }
     plv8.execute('insert into kept values (3)')`,
  );
  t.is(await session.value(`select string_agg(id::text, ',' order by id) from kept`), '1,3');
});

test('subtransaction keeps its work, or none of it when its function throws', async (t) => {
  const session = await openSession(t);
  await session.client.query('create table kept (id int)');
  const seen = await session.call(
    `const insert = (id) => plv8.execute('insert into kept values ($1)', [id]);
     const seen = [];
     insert(1);
     seen.push(plv8.subtransaction(() => { insert(2); return 'value' }));
     try { plv8.subtransaction(() => { insert(3); throw new TypeError('mine') }) } catch (e) {
       seen.push(e.constructor === Error, e.message, e.sqlerrcode === undefined);
     }
     try { plv8.subtransaction(() => { insert(4); plv8.execute('select 1/0') }) } catch (e) {
       seen.push(e.constructor === Error, e.message, e.sqlerrcode === undefined);
     }
     plv8.subtransaction(() => {
       insert(5);
       try { plv8.subtransaction(() => { insert(6); plv8.subtransaction(() => insert(7)); throw new Error('inner') }) }
       catch (e) { insert(8) }
     });
     seen.push(plv8.subtransaction(), plv8.subtransaction(5));
     return seen.map((value) => value === undefined ? 'undefined' : value)`,
    'jsonb',
  );
  t.deepEqual(seen, [
    'value',
    true,
    'TypeError: mine',
    true,
    true,
    'division by zero',
    true,
    'undefined',
    'undefined',
  ]);
  t.is(await session.value(`select string_agg(id::text, ',' order by id) from kept`), '1,2,5,8');
});

test('a plan is prepared once, runs often, and is freed', async (t) => {
  const session = await openSession(t);
  const results = await session.call(
    `const typed = plv8.prepare('select $1 + $2 as v', ['int', 'int8']);
     const inferred = plv8.prepare('select upper($1) as v');
     const none = plv8.prepare('select 5 as v', []);
     const results = [Number(typed.execute([1, 2])[0].v), Number(typed.execute(3, 4)[0].v), inferred.execute(['a'])[0].v,
       none.execute()[0].v, typed.free(), inferred.free()];
     for (const again of [() => typed.execute([1, 2]), () => none.execute([1]), () => none.execute.call({}),
       () => none.execute.call(Promise.resolve()), () => new none.constructor().execute(), () => plv8.prepare('selec'),
       () => plv8.prepare('select $1', ['nonsense']), () => plv8.prepare('select $1', ['int', 'int']).execute([1, 2])]) {
       try { results.push(String(again())) } catch (e) { results.push(e.message) }
     }
     results.push(typed.free());
     return results`,
    'jsonb',
  );
  t.deepEqual(results, [
    3,
    7,
    'A',
    5,
    0,
    0,
    'the plan was freed',
    'plan expected 0 argument(s), given is 1',
    'this is no plan of plv8.prepare',
    'this is no plan of plv8.prepare',
    'this is no plan of plv8.prepare',
    'syntax error at or near "selec"',
    'type "nonsense" does not exist',
    '[object Object]',
    0,
  ]);
});

test('a plan can be freed, replaced or dropped while it runs', async (t) => {
  const session = await openSession(t);
  t.is(
    await session.call(
      `const plan = plv8.prepare('select $1::jsonb as v');
       const value = plan.execute([{ toJSON() { plan.free(); return 'still here' } }])[0].v;
       try { plan.execute([1]) } catch (e) { return value + ', ' + e.message }`,
    ),
    'still here, the plan was freed',
  );
  await session.client.query('create table later (a int)');
  t.deepEqual(
    await session.call(
      `globalThis.plan ??= plv8.prepare('select * from later');
       plv8.execute('insert into later values (1)');
       const before = plan.execute();
       plv8.execute('alter table later add b int');
       return [before, plan.execute()]`,
      'jsonb',
    ),
    [[{ a: 1 }], [{ a: 1, b: null }]],
  );
  t.deepEqual(
    await session.call('return plan.execute()', 'jsonb'),
    [{ a: 1, b: null }],
    'in a later statement',
  );
});

test('JavaScript calls SQL that calls JavaScript, and errors go all the way', async (t) => {
  const session = await openSession(t);
  await session.client.query(
    `create function inner_one(a int) returns int language maint_v8 as $$
       if (a > 2) throw Object.assign(new Error('too much'), { sqlerrcode: '22003', detail: 'd' });
       return a * 10 $$;
     create function outer_one(a int) returns jsonb language maint_v8 as $$
       try { return plv8.execute('select inner_one($1) as v', [a])[0] }
       catch (e) { if (a > 3) throw e; return { caught: e.message, state: e.sqlerrcode, detail: e.detail } } $$;
     create function in_plpgsql(a int) returns text language plpgsql as $$
       begin return outer_one(a)::text; exception when numeric_value_out_of_range then return 'seen ' || sqlerrm; end $$`,
  );
  t.deepEqual(await session.value('select outer_one(2)'), { v: 20 });
  t.deepEqual(await session.value('select outer_one(3)'), {
    caught: 'too much',
    state: '22003',
    detail: 'd',
  });
  t.is(await session.value('select in_plpgsql(4)'), 'seen too much');
  const refusal = await session.refusal('select outer_one(4)');
  t.like(refusal, { code: '22003', detail: 'd', message: 'too much' });
  t.regex(
    String(refusal.where),
    /inner_one\(\) LINE 2.*SQL statement "select inner_one\(\$1\) as v".*outer_one\(\) LINE 3/s,
  );
});

test('a parameter whose type refuses it leaves nothing behind, however its input works', async (t) => {
  const session = await openSession(t);
  const notices: string[] = [];
  session.client.on('notice', ({ message }) => notices.push(message ?? ''));
  // Its input runs a function that is in the middle of a query when it fails.
  await session.client.query(
    `create function refuse(v text) returns boolean language plpgsql as $$
       declare r record;
       begin
         for r in select * from pg_class loop raise exception 'no %', v; end loop;
         return true;
       end $$;
     create domain picky as text check (refuse(value))`,
  );
  for (const run of [
    `const plan = plv8.prepare('select $1 as v', ['picky']); const once = () => plan.execute(['x'])`,
    `const once = () => plv8.execute('select $1::picky as v', ['x'])`,
  ]) {
    t.deepEqual(
      await session.call(
        `${run}; const seen = [];
         for (let i = 0; i < 3; i++) try { once() } catch (e) { seen.push(e.message) }
         seen.push(plv8.execute('select 1 as one')[0].one); return seen`,
        'jsonb',
      ),
      ['no x', 'no x', 'no x', 1],
    );
  }
  t.deepEqual(notices, [], 'the server found nothing that was left open');
});
