import test from 'ava';
import { openSession, quote, refusalOf } from './language.ts';

type Operation =
  | { kind: 'insert' | 'plan'; id: number }
  | { kind: 'fail' | 'throw' | 'garbage' }
  | { kind: 'try' | 'subtransaction' | 'call'; inner: Operation[] };

/** mulberry32: the same numbers in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) % below;
  };
}

function operations(random: (below: number) => number, depth: number, next: () => number): Operation[] {
  return Array.from({ length: 1 + random(4) }, (): Operation => {
    const choice = random(depth > 4 ? 7 : 14);
    if (choice < 3) return { kind: 'insert', id: next() };
    if (choice < 5) return { kind: 'plan', id: next() };
    if (choice === 5) return { kind: random(2) === 0 ? 'fail' : 'throw' };
    if (choice === 6) return { kind: 'garbage' };
    const kind = choice < 10 ? 'try' : choice < 12 ? 'subtransaction' : 'call';
    return { kind, inner: operations(random, depth + 1, next) };
  });
}

/** What has to be in the table afterwards; throws where the function has to. */
function expect(list: readonly Operation[], kept: number[]): void {
  for (const operation of list) {
    if ('id' in operation) kept.push(operation.id);
    else if (operation.kind === 'fail' || operation.kind === 'throw') throw new Error(operation.kind);
    else if (operation.kind === 'garbage') continue;
    else {
      const before = kept.length;
      try {
        expect((operation as { inner: Operation[] }).inner, kept);
      } catch (error) {
        if (operation.kind === 'try') continue;
        kept.length = before;
        throw error;
      }
    }
  }
}

const act = `
  const run = (list) => {
    for (const { kind, id, inner } of list) {
      if (kind === 'insert') plv8.execute('insert into kept values ($1)', [id]);
      else if (kind === 'plan') {
        const plan = plv8.prepare('insert into kept values ($1)', ['int']);
        plan.execute([id]);
        if (id % 2 === 0) plan.free();
      }
      else if (kind === 'fail') plv8.execute('select 1/0');
      else if (kind === 'throw') throw new TypeError('thrown');
      else if (kind === 'garbage') new Array(10000).fill({}).map(String).join();
      else if (kind === 'try') { try { run(inner) } catch (e) { if (!(e instanceof Error)) throw e } }
      else if (kind === 'subtransaction') plv8.subtransaction(() => run(inner));
      else plv8.execute('select act($1)', [inner]);
    }
  };
  run(a)`;

/** On a busy machine the timeout may stop the very statement that ends it, or, when it fires just then, the next one. */
async function endHurry(client: { query(text: string): Promise<unknown> }): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await client.query('set statement_timeout = 0');
      await client.query('select 1');
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== '57014' || attempt === 100) throw error;
    }
  }
}

test('random nests of calls, subtransactions, plans and errors keep just what they have to', async (t) => {
  const session = await openSession(t);
  await session.client.query(
    `create table kept (id int); create function act(a jsonb) returns void language maint_v8 as ${quote(act)}`,
  );
  const seen = { kept: 0, failed: 0, stopped: 0 };
  for (let seed = 1; seed <= 1500; seed += 1) {
    const random = numbers(seed);
    let last = 0;
    const list = operations(random, 0, () => (last += 1));
    let wanted: number[] = [];
    let fails = false;
    try {
      expect(list, wanted);
    } catch {
      fails = true;
      wanted = [];
    }
    // Some are stopped somewhere on the way.
    const hurried = seed % 3 === 0;
    await session.client.query(
      `truncate kept; set statement_timeout = ${hurried ? String(1 + random(4)) : '0'}`,
    );
    const call = `select act(${quote(JSON.stringify(list))})`;
    const code = await session.client.query(call).then(
      () => undefined,
      async (error: unknown) => (await refusalOf(Promise.reject(error as Error))).code,
    );
    await endHurry(session.client);
    if (hurried && code === '57014') {
      wanted = [];
      seen.stopped += 1;
    } else {
      t.is(code !== undefined, fails, `seed ${String(seed)}`);
      seen[fails ? 'failed' : 'kept'] += 1;
    }
    const { rows } = await session.client.query<{ ids: number[] | null }>(
      'select array_agg(id order by id) as ids from kept',
    );
    t.deepEqual(rows[0]?.ids ?? [], wanted, `seed ${String(seed)}: ${JSON.stringify(list)}`);
  }
  t.log(JSON.stringify(seen));
  // How many are stopped in time depends on the machine.
  t.true(seen.kept > 100 && seen.failed > 100 && seen.stopped > 0, JSON.stringify(seen));
});
