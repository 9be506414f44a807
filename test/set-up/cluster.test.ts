import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import pg from 'pg';
import { asAccount, serverAccount } from '../../build/cluster/account.ts';
import { runningCluster, startCluster, stopCluster } from '../../build/cluster.ts';
import { repository } from '../../build/paths.ts';
import { eventually, runScript, startProgram, temporaryFolder } from '../support/command.ts';
import { createDatabase } from '../support/database.ts';
import { hostileNames } from '../support/names.ts';

function cluster(...words: string[]): ReturnType<typeof runScript> {
  return runScript('build/cluster-command.ts', words);
}

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows[0] ?? [];
  } finally {
    await client.end();
  }
}

/** Processes that work in the cluster's directory: the postmaster and all its children do. */
function processesIn(directory: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`).startsWith(directory);
    } catch {
      return false;
    }
  });
}

/** The System V segment that a server of that directory holds, as its postmaster.pid names it. */
function segmentOf(directory: string): string {
  const lines = readFileSync(join(directory, 'data', 'postmaster.pid'), 'utf8').split('\n');
  return lines[6]?.trim().split(/\s+/)[1] ?? '';
}

function segmentExists(id: string): boolean {
  const rows = readFileSync('/proc/sysvipc/shm', 'utf8').split('\n').slice(1);
  return rows.some((row) => row.trim().split(/\s+/)[1] === id);
}

/** The folder of a cluster, stopped at the end however the test ends. */
function clusterFolder(t: ExecutionContext): string {
  const directory = join(temporaryFolder(t), 'cluster');
  t.teardown(async () => {
    if (existsSync(directory)) await stopCluster(directory).catch(() => undefined);
  });
  return directory;
}

test('up prints the URL and nothing else, again when it is up already; down leaves nothing', async (t) => {
  const directory = clusterFolder(t);
  const [first, atOnce] = await Promise.all([
    cluster('up', '--dir', directory),
    cluster('up', '--dir', directory),
  ]);
  t.regex(first.stdout, /^postgresql:\/\/postgres@127\.0\.0\.1:\d+\/postgres\n$/);
  t.is(atOnce.stdout, first.stdout, 'two at once agree on one server');
  t.is((await cluster('up', '--dir', directory)).stdout, first.stdout);
  t.is((await cluster('status', '--dir', directory)).stdout, first.stdout);
  t.deepEqual(await ask(first.stdout.trim(), 'select 1'), [1]);

  const down = await cluster('down', '--dir', directory);
  t.is(down.code, 0, down.stderr);
  t.false(existsSync(directory));
  t.deepEqual(processesIn(directory), []);
  const status = await cluster('status', '--dir', directory);
  t.is(status.code, 1);
  t.is(status.stdout, '');
});

test('down and up touch no folder that is not ours', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'precious'), 'data');
  const down = await cluster('down', '--dir', folder);
  t.is(down.code, 1);
  t.regex(down.stderr, /no cluster made by pg-maint/);
  const up = await cluster('up', '--dir', folder);
  t.is(up.code, 1);
  t.regex(up.stderr, /holds other files \(precious\)/);
  t.deepEqual(readdirSync(folder), ['precious']);
});

test('a folder that was there stays, and so does what others put into it', async (t) => {
  const folder = temporaryFolder(t);
  const { url } = await startCluster({ directory: folder });
  t.deepEqual(await ask(url, 'select 1'), [1]);
  writeFileSync(join(folder, 'notes'), 'mine');
  await stopCluster(folder);
  t.deepEqual(readdirSync(folder), ['notes']);
});

test('bad arguments are refused with the usage', async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /which command\?/],
    [['sideways', '--dir', '/tmp/x'], /unknown command "sideways"/],
    [['up'], /--dir is missing/],
    [['up', '--dir', '/tmp/x', '--port', '70000'], /--port 70000 is no port/],
    [['up', '--dir', '/tmp/x', '--port', 'x'], /--port x is no port/],
    [['up', '--dir', '/tmp/x', '--prot', '1'], /'--prot'/],
    [['down', '--dir', '/tmp/x', '--port', '1'], /--port goes with up only/],
    [['up', '/tmp/x', '--dir', '/tmp/x'], /"\/tmp\/x" is too much/],
  ];
  for (const [words, message] of cases) {
    const result = await cluster(...words);
    t.is(result.code, 2, words.join(' '));
    t.regex(result.stderr, message);
    t.regex(result.stderr, /usage: npm run cluster/);
    t.is(result.stdout, '');
  }
});

test('a port that is taken is said to be so', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const result = await cluster('up', '--dir', clusterFolder(t), '--port', String(port));
  t.is(result.code, 1);
  t.regex(result.stderr, /Address already in use/);
});

test('settings can be given, with quotes in them', async (t) => {
  const settings = { work_mem: '7MB', 'pg_maint.test': `it's a "back\\slash"` };
  const server = await startCluster({ ephemeral: true, settings });
  t.teardown(() => server.stop('immediate'));
  const sql = `select current_setting('work_mem'), current_setting('pg_maint.test'), current_setting('fsync')`;
  t.deepEqual(await ask(server.url, sql), ['7MB', settings['pg_maint.test'], 'off']);
  await server.stop();
  t.false(existsSync(server.directory));
  t.deepEqual(processesIn(server.directory), []);
});

const caller = `
  import { startCluster } from ${JSON.stringify(join(repository, 'build/cluster.ts'))};
  const cluster = await startCluster({ ephemeral: true });
  console.log(cluster.directory);
  setInterval(() => undefined, 1000);
`;

test('kill -9 of the caller leaves no process and no shared memory, and the next run removes the data', async (t) => {
  const { child, line: directory } = await startProgram(t, caller);
  const segment = segmentOf(directory);
  t.true(segmentExists(segment));
  t.true(processesIn(directory).length > 1);
  child.kill('SIGKILL');
  await eventually(t, 'no process', () => processesIn(directory).length === 0);
  await eventually(t, 'no shared memory', () => !segmentExists(segment));
  t.true(existsSync(directory));
  const next = await startCluster({ ephemeral: true });
  await next.stop('immediate');
  t.false(existsSync(directory));
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${signal} to the caller leaves nothing`, async (t) => {
    const { child, line: directory } = await startProgram(t, caller);
    const exit = once(child, 'exit');
    child.kill(signal);
    t.deepEqual(await exit, [null, signal]);
    t.deepEqual(processesIn(directory), []);
    t.false(existsSync(directory));
  });
}

test('a caller that just exits leaves nothing', async (t) => {
  const program = caller.replace(/setInterval.*/, 'process.exit(3);');
  const { child, line: directory } = await startProgram(t, program);
  if (child.exitCode === null) await once(child, 'exit');
  t.is(child.exitCode, 3);
  t.deepEqual(processesIn(directory), []);
  t.false(existsSync(directory));
});

test('after a crash it starts again with its data, even when the old process number is taken', async (t) => {
  const directory = clusterFolder(t);
  const first = await startCluster({ directory });
  await ask(first.url, 'create table kept as select 42 as answer');
  await ask(first.url, 'checkpoint');
  const pidFile = join(directory, 'data', 'postmaster.pid');
  const lines = readFileSync(pidFile, 'utf8').split('\n');
  process.kill(Number(lines[0]), 'SIGKILL');
  await eventually(t, 'all gone', () => processesIn(directory).length === 0);
  t.is(runningCluster(directory), null);

  // Another process of the server's account has the old number by now: PostgreSQL alone would refuse to start.
  const [command, ...words] = asAccount(serverAccount(), ['sleep', '60'], { diesWithCaller: true });
  const sleeper = spawn(command, words, { stdio: 'ignore' });
  t.teardown(() => sleeper.kill('SIGKILL'));
  writeFileSync(pidFile, [String(sleeper.pid), ...lines.slice(1)].join('\n'));

  const second = await startCluster({ directory });
  t.deepEqual(await ask(second.url, 'select answer from kept'), [42]);
});

test('an initdb that was broken off is done anew', async (t) => {
  const directory = clusterFolder(t);
  await startCluster({ directory });
  await runningCluster(directory)?.stop('immediate');
  const marker = join(directory, 'pg-maint-cluster.json');
  writeFileSync(marker, readFileSync(marker, 'utf8').replace('"initialized": true', '"initialized": false'));
  const { url } = await startCluster({ directory });
  t.deepEqual(await ask(url, 'select 1'), [1]);
});

test('a folder that the server cannot enter is named', async (t) => {
  if (serverAccount() === null) {
    t.pass('only root runs the server under another account');
    return;
  }
  const closed = join(temporaryFolder(t), 'closed');
  mkdirSync(closed, { mode: 0o700 });
  const { code, stderr } = await cluster('up', '--dir', join(closed, 'cluster'));
  t.is(code, 1);
  t.regex(stderr, /the server runs as \w+, who can't enter .*closed; choose a folder/);
});

test('each test has a database of its own, with contrib at hand and statistics of statements', async (t) => {
  const database = await createDatabase(t);
  for (const extension of ['pg_stat_statements', 'pgstattuple', 'pageinspect', 'amcheck']) {
    await database.query(`create extension ${extension}`);
  }
  const rows = await database.query('select count(*) > 0 as counted from pg_stat_statements');
  t.deepEqual(rows, [{ counted: true }]);
});

test('twenty databases at once', async (t) => {
  const databases = await Promise.all(Array.from({ length: 20 }, () => createDatabase(t)));
  t.is(new Set(databases.map(({ name }) => name)).size, 20);
});

test('a new database has the language, from files that the server can read', async (t) => {
  const database = await createDatabase(t);
  const languages = await database.query(
    `select p.probin from pg_catalog.pg_language l join pg_catalog.pg_proc p on p.oid = l.lanplcallfoid
     where l.lanname = 'maint_v8'`,
  );
  t.is(languages.length, 1);
  await database.query(`create function answer() returns int language maint_v8 as 'return 42'`);
  t.deepEqual(await database.query('select answer()'), [{ answer: 42 }]);
});

test('the hostile names are names that PostgreSQL keeps as they are', async (t) => {
  const database = await createDatabase(t);
  for (const name of hostileNames) {
    await database.query(`create table ${pg.escapeIdentifier(name)} ()`);
  }
  const rows = await database.query<{ relname: string }>(
    `select relname from pg_catalog.pg_class where relnamespace = 'public'::regnamespace`,
  );
  t.deepEqual(rows.map(({ relname }) => relname).sort(), [...hostileNames].sort());
});
