import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { connect } from '../../src/worker/connection.ts';
import { CouldNotRun } from '../../src/worker/errors.ts';
import { clientTarget, resolveTarget } from '../../src/worker/target/client-config.ts';
import { parseTarget, writeTarget } from '../../src/worker/target/keywords.ts';
import { temporaryFolder } from '../support/command.ts';
import { createDatabase } from '../support/database.ts';

test('the three ways to write a target', (t) => {
  t.deepEqual(parseTarget('shop'), { dbname: 'shop' });
  t.deepEqual(
    parseTarget('postgresql://me%40home:p%3Aw@db.example:6432/my%20shop?sslmode=require&connect_timeout=3'),
    {
      user: 'me@home',
      password: 'p:w',
      host: 'db.example',
      port: '6432',
      dbname: 'my shop',
      sslmode: 'require',
      connect_timeout: '3',
    },
  );
  t.deepEqual(parseTarget('postgres://'), {});
  t.deepEqual(parseTarget('postgresql:///shop?host=/var/run/postgresql'), {
    dbname: 'shop',
    host: '/var/run/postgresql',
  });
  t.deepEqual(parseTarget('postgresql://[::1]:5433,other/shop'), {
    host: '::1,other',
    port: '5433,',
    dbname: 'shop',
  });
  t.deepEqual(parseTarget(String.raw`host = localhost dbname='it''s' port=1`.replace("''", String.raw`\'`)), {
    host: 'localhost',
    dbname: "it's",
    port: '1',
  });
  t.deepEqual(parseTarget(String.raw`user=a\ b password='' options='-c work_mem=1MB'`), {
    user: 'a b',
    password: '',
    options: '-c work_mem=1MB',
  });
});

test('what was written is read again', (t) => {
  const keywords = { dbname: `it's a "\\" =`, host: '/tmp', user: '' };
  t.deepEqual(parseTarget(writeTarget(keywords)), keywords);
});

test('what is none is refused, with what was expected', (t) => {
  const refused = (text: string, message: RegExp): void => {
    const error = t.throws(() => parseTarget(text), { instanceOf: CouldNotRun, message }, text);
    t.not(error.fix, null, text);
  };
  refused('http://localhost/shop', /not a database URL/);
  refused('postgresql://h:x/shop', /"h:x" is no host with a port/);
  refused('postgresql:///shop?sslmode', /"sslmode" has no value/);
  refused('postgresql:///%zz', /% without two/);
  refused('host=a nonsense', /no list of keyword=value pairs/);
  refused("host='a", /no list of keyword=value pairs/);
  refused('hots=a', /no connection option "hots"/);
  refused('host=a require_auth=none', /can't do require_auth/);
  refused('postgresql:///shop?gssencmode=require', /can't do gssencmode/);
  t.deepEqual(parseTarget('postgresql:///shop?gssencmode=disable&keepalives=1'), { dbname: 'shop' });
});

test('target, then service, then environment', (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'services');
  writeFileSync(
    file,
    '# ours\n[other]\nhost=elsewhere\n\n[shop]\nhost=db.example\nport=6000\nuser=keeper\nport=7000\n[last]\nuser=x\n',
  );
  const environment = {
    PGSERVICEFILE: file,
    PGUSER: 'me',
    PGDATABASE: 'a',
    PGPORT: '1',
    PGSSLMODE: 'disable',
  };
  t.deepEqual(resolveTarget('service=shop port=8000', environment), {
    host: 'db.example',
    port: '8000',
    user: 'keeper',
    dbname: 'a',
    sslmode: 'disable',
  });
  t.like(resolveTarget(undefined, { ...environment, PGSERVICE: 'last' }), { user: 'x', port: '1' });
  t.like(resolveTarget('postgresql:///b?service=other', environment), { host: 'elsewhere', dbname: 'b' });
  t.like(resolveTarget(undefined, { DATABASE_URL: 'postgresql://h/d', PGDATABASE: 'a' }), { dbname: 'd' });
  t.throws(() => resolveTarget('service=none', environment), { message: /no connection service "none"/ });
  writeFileSync(file, '[shop]\nhost\n');
  t.throws(() => resolveTarget('service=shop', environment), {
    message: /services:2: expected keyword=value/,
  });
  writeFileSync(file, '[shop]\nhots=a\n');
  t.throws(() => resolveTarget('service=shop', environment), {
    message: /services:2: .*no connection option/,
  });
});

test('TLS is preferred, as by libpq, and not tried on a socket', (t) => {
  const ways = (text: string): unknown[] =>
    clientTarget(parseTarget(text)).servers.map(({ ways: each }) => each.map(({ ssl }) => ssl));
  t.deepEqual(ways('host=h'), [[{ rejectUnauthorized: false }, false]]);
  t.deepEqual(ways('host=/tmp sslmode=require'), [[false]]);
  t.deepEqual(ways('host=h sslmode=disable'), [[false]]);
  t.deepEqual(ways('host=h sslmode=allow'), [[false, { rejectUnauthorized: false }]]);
  t.deepEqual(ways('host=h sslmode=require'), [[{ rejectUnauthorized: false }]]);
  t.deepEqual(ways('host=h sslmode=verify-full sslrootcert=system'), [[{}]]);
  t.deepEqual(ways('host=h,i port=1,2'), [
    [{ rejectUnauthorized: false }, false],
    [{ rejectUnauthorized: false }, false],
  ]);
  t.throws(() => ways('host=h sslmode=maybe'), { message: /expected prefer, disable/ });
  t.throws(() => ways('host=h sslmode=verify-ca'), { instanceOf: CouldNotRun });
  t.throws(() => ways('host=h sslmode=verify-full sslrootcert=/none'), { message: /\/none/ });
  t.throws(() => ways('host=h port=99999'), { message: /port is "99999"/ });
  t.throws(() => ways('host=h,i,j port=1,2'), { message: /2 ports are given for 3 hosts/ });
});

test('connects by pairs, a service and a list of hosts whose first one is dead', async (t) => {
  const database = await createDatabase(t);
  const { hostname, port, username } = new URL(database.url);
  const target = `host=127.0.0.1,${hostname} port=1,${port} user=${username} dbname=${database.name} target_session_attrs=primary`;
  const client = await connect(target);
  const { rows } = await client.query('select pg_catalog.current_database() as name');
  t.deepEqual(rows, [{ name: database.name }]);
  await client.end();
  await t.throwsAsync(connect(`host=127.0.0.1 port=1 dbname=x`), {
    instanceOf: CouldNotRun,
    message: /can't connect.*ECONNREFUSED/,
  });
  await t.throwsAsync(connect(`host=${hostname} port=${port} user=${username} dbname=no_such_database`), {
    message: /^can't connect to PostgreSQL: database "no_such_database" does not exist$/,
  });
});

test.serial('a password comes from the password file', async (t) => {
  const database = await createDatabase(t);
  const role = `test_pass_${process.pid}`;
  await database.query(`create role ${role} login password 'open, sesame'`);
  t.teardown(async () => {
    const client = await connect(database.url);
    await client.query(`drop role ${role}`);
    await client.end();
  });
  const { hostname, port } = new URL(database.url);
  const file = join(temporaryFolder(t), 'pgpass');
  writeFileSync(file, `${hostname}:${port}:*:${role}:open, sesame\n`);
  chmodSync(file, 0o600);
  process.env['PGPASSFILE'] = file;
  t.teardown(() => {
    delete process.env['PGPASSFILE'];
  });
  const client = await connect(`host=${hostname} port=${port} user=${role} dbname=${database.name}`);
  t.deepEqual((await client.query('select session_user::text as name')).rows, [{ name: role }]);
  await client.end();
});
