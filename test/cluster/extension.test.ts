/** The extensions as `make install` and `npm run build` make them, by `create extension` on a server that has them. */
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type pg from 'pg';
import { startCluster } from '../../build/cluster.ts';
import { run } from '../../build/run.ts';
import { refusalOf } from '../bridge/language.ts';
import { requireDone } from '../support/maintenance.ts';
import { connectTo, eventually, runMaintenance, urlOf } from './own-cluster.ts';
import { installExtensions, privateServer } from './private-server.ts';
import type { PrivateServer } from './private-server.ts';

interface Server {
  files: PrivateServer;
  port: number;
  create(database: string): Promise<pg.Client>;
}

async function serverWithExtensions(t: ExecutionContext): Promise<Server> {
  const files = await privateServer(t);
  await installExtensions(t, files);
  const cluster = await startCluster({
    ephemeral: true,
    postgres: files.install,
    // By its name, as users write it.
    settings: {
      shared_preload_libraries: 'maint_v8',
      'maint_launcher.command': 'sleep 1000',
      'maint_launcher.databases': '',
    },
  });
  t.teardown(() => cluster.stop('immediate'));
  const clients: pg.Client[] = [];
  t.teardown(() => Promise.allSettled(clients.map((client) => client.end())));
  const administrator = await connectTo(cluster.url);
  clients.push(administrator);
  return {
    files,
    port: cluster.port,
    async create(database) {
      await administrator.query(`create database ${database}`);
      const client = await connectTo(urlOf(cluster.port, database));
      clients.push(client);
      return client;
    },
  };
}

async function value(client: pg.Client, text: string): Promise<unknown> {
  const { rows } = await client.query<unknown[]>({ text, rowMode: 'array' });
  return rows[0]?.[0];
}

test.serial(
  'create extension maint_v8, then maint: it runs, is dumped and restored, and is dropped whole',
  async (t) => {
    const server = await serverWithExtensions(t);
    const client = await server.create('shop');
    await eventually(async () => {
      const launchers = await client.query(
        `select from pg_stat_activity where backend_type = 'maint launcher' and query ~ '^running sleep 1000'`,
      );
      return launchers.rowCount === 1 ? true : null;
    });

    await client.query('create extension maint_v8');
    await client.query(`create function twice(a int) returns int language maint_v8 as 'return 2 * a'`);
    t.is(await value(client, 'select twice(21)'), 42);
    t.regex((await refusalOf(client.query('drop extension maint_v8'))).message, /other objects depend on it/);
    await client.query(
      'drop function twice; create role customer; grant create on database shop to customer',
    );

    // Whoever may create in the database may create it: it holds nothing that needs a superuser.
    await client.query('set role customer; create extension maint; reset role');
    t.is(await value(client, `select maint.status() ->> 'engine'`), 'maint_v8');
    t.is(await value(client, `select maint.status() ->> 'engine_extension'`), 'maint_v8');
    const result = await runMaintenance(client);
    t.is(result.status, 'partial', JSON.stringify(result));
    for (const name of Object.keys(result.steps)) requireDone(result, name);
    await client.query(`select maint.configure('operational.maintenance_tasks.interval', '1234')`);
    t.regex((await refusalOf(client.query('drop extension maint_v8'))).message, /other objects depend on it/);
    t.regex(
      (await refusalOf(client.query('drop table maint.run_log'))).message,
      /extension maint requires it/,
    );

    const copy = await server.create('copy');
    const restore = (options: string): ReturnType<typeof run> =>
      run(
        'sh',
        [
          '-c',
          `'${join(server.files.install.binDirectory, 'pg_dump')}' '${urlOf(server.port, 'shop')}' |
     PGOPTIONS='${options}' '${join(server.files.install.binDirectory, 'psql')}' -X -q -v ON_ERROR_STOP=1 -o /dev/null '${urlOf(server.port, 'copy')}'`,
        ],
        { allowFailure: true },
      );
    t.regex((await restore('')).stderr, /schema maint belongs to another role: customer/);
    await copy.query('drop schema maint; drop extension maint_v8');
    t.is((await restore('-c maint.trust_owner=customer')).stderr, '');
    t.is(
      await value(copy, `select pg_get_userbyid(proowner) from pg_proc where oid = 'maint.run'::regproc`),
      'customer',
    );
    const kept = `select jsonb_build_object('settings', (select jsonb_agg(to_jsonb(s)) from maint.setting s),
    'runs', (select jsonb_agg(to_jsonb(r)) from maint.run_log r))`;
    t.deepEqual(await value(copy, kept), await value(client, kept));
    const again = await runMaintenance(copy);
    for (const name of Object.keys(again.steps)) requireDone(again, name);
    t.true(again.run_id > result.run_id, 'numbers go on after those that were restored');

    // PostgreSQL makes an extension's schema and leaves it; without "cascade" it must be empty.
    await copy.query('drop extension maint; drop extension maint_v8; drop schema maint');
    t.is(
      await value(
        copy,
        `select count(*)::int from (
         select from pg_language where lanname = 'maint_v8' union all
         select from pg_proc where proname ~ '^maint_v8') as left_over`,
      ),
      0,
    );
  },
);
