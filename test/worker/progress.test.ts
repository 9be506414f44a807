/** How far an action is, while it is under way: told by maint.actions, maint.overview, maint.wait_for_action and the command. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type pg from 'pg';
import { LiveLine } from '../../src/worker/live-line.ts';
import { waitForActions } from '../../src/worker/wait-for-actions.ts';
import { eventually } from '../support/command.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { waitForRow } from '../support/maintenance.ts';
import { oidOf, queueAction, startWorker } from '../support/worker.ts';

const gate = 424_242;
const rows = 20_000;

/** A table whose index on held(a) is built to the middle of the table and no further, until `release` is called. */
async function withHeldBuild(
  t: ExecutionContext,
): Promise<{ database: TestDatabase; release(): Promise<void> }> {
  const database = await createDatabase(t, { template: 'installed' });
  const holder = await database.client();
  await holder.query('select pg_advisory_lock($1)', [gate]);
  await database.query(`
    create table public.t (a int) with (autovacuum_enabled = off);
    insert into public.t select generate_series(1, ${rows});
    -- It looks for the lock and does not ask for it: the worker lets no lock be waited for as long as this.
    create function public.held(a int) returns int language plpgsql immutable as $$
      begin
        while a = ${rows / 2} and exists (select from pg_catalog.pg_locks as l
          where l.locktype = 'advisory' and l.objid = ${gate}
            and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database()))
        loop
          perform pg_catalog.pg_sleep(0.02);
        end loop;
        return a;
      end $$`);
  return {
    database,
    release: async () => {
      await holder.query('select pg_advisory_unlock($1)', [gate]);
    },
  };
}

async function buildHeld(database: TestDatabase): Promise<number> {
  return await queueAction(database, 'create_index', {
    schema: 'public',
    table: 't',
    oid: await oidOf(database, 'public', 't'),
    index: 't_held',
    statement: 'create index concurrently t_held on public.t (public.held(a))',
  });
}

interface Waiting {
  notices: string[];
  ended: Promise<string>;
}

/** As psql would: call maint.wait_for_action(...). */
async function callWait(client: pg.Client, id: number, more = ''): Promise<Waiting> {
  const notices: string[] = [];
  client.on('notice', ({ message }) => notices.push(message ?? ''));
  const ended = client
    .query<{ status: string }>(`call maint.wait_for_action(${id}${more})`)
    .then((result) => result.rows[0]!.status);
  return await Promise.resolve({ notices, ended });
}

const isAt = (phase: string): string =>
  `select from maint.actions where action_id = $1 and status = 'running' and progress like '${phase}'`;

test('a build tells how much of the table it has read, then whom it waits for, then nothing any more', async (t) => {
  const { database, release } = await withHeldBuild(t);
  startWorker(t, database);
  await waitForRow(database, 'select from maint.worker');
  const id = await buildHeld(database);
  const shown: string[] = [];
  const said: string[] = [];
  const watched = waitForActions(await database.client(), {
    target: database.url,
    which: 'a.action_id = $1',
    id,
    timeoutSeconds: 120,
    line: new LiveLine((text) => shown.push(text), 200),
    say: (text) => said.push(text),
  });
  const { notices, ended } = await callWait(await database.client(), id);

  // The row at which it stands is in the middle of the table.
  await waitForRow(
    database,
    `select from maint.actions where action_id = $1 and progress ~ '^building index: scanning table, (4[89]|5[012]) %$'`,
    [id],
  );
  const [overview] = await database.query<{ says: string }>(
    `select says from maint.overview where topic = 'under way'`,
  );
  t.regex(
    overview!.says.replaceAll('\n', ' '),
    /^action \d+ \| create_index t_held \| building index: scanning table, \d\d %$/,
  );

  // Both look from time to time: what they see stands until they have.
  const toldOf = async (what: RegExp): Promise<void> => {
    for (const told of [notices, shown])
      await eventually(t, `${what.source} in ${told.join('; ')}`, () => told.some((line) => what.test(line)));
  };
  await toldOf(/building index: scanning table, (4[89]|5[012]) %/);

  // Begun while the index is being built: it must have ended before the index is valid.
  const writer = await database.client();
  await writer.query('begin; insert into public.t values (0)');
  await release();
  await waitForRow(database, isAt('waiting for writers before validation, 0 \\%'), [id]);
  await toldOf(/waiting for writers before validation, 0 %/);
  await writer.query('commit');
  t.is(await ended, 'succeeded');
  t.is((await watched).status, 'finished');
  t.deepEqual(await database.query('select progress from maint.actions where action_id = $1', [id]), [
    { progress: null },
  ]);

  t.regex(notices.at(-1)!, /^action \d+ create_index public\.t_held: succeeded: /);
  t.regex(said.at(-1)!, /succeeded/);
});

test('waiting for an action ends with it, at its timeout, and at once where nobody can do it', async (t) => {
  const { database, release } = await withHeldBuild(t);
  const id = await buildHeld(database);
  const client = await database.client();
  const alone = await callWait(client, id);
  t.is(await alone.ended, 'queued');
  t.regex(alone.notices.at(-1)!, /no worker is alive/);
  startWorker(t, database);
  await waitForRow(database, isAt('building index: scanning table, % \\%'), [id]);
  t.is(await (await callWait(client, id, `, timeout => '0.5 s'`)).ended, 'running');
  await release();
  t.is(await (await callWait(client, id)).ended, 'succeeded');
  await t.throwsAsync((await callWait(client, 4711)).ended, { message: 'there is no action 4711' });
  await t.throwsAsync((await callWait(client, id, `, timeout => null`)).ended, {
    message: /an interval of 0 or more/,
  });
  await t.throwsAsync(client.query(`begin; call maint.wait_for_action(${id}); commit`), { code: '2D000' });
});
