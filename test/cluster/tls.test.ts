/** Connections of the command and of the worker to a server that lets nobody in without TLS. */
import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { giveTo, serverAccount } from '../../build/cluster/account.ts';
import { repository } from '../../build/paths.ts';
import { run } from '../../build/run.ts';
import { command } from '../support/cli.ts';
import { temporaryFolder } from '../support/command.ts';
import { connectTo, eventually, ownCluster, serverProgram, urlOf } from './own-cluster.ts';
import type { OwnCluster } from './own-cluster.ts';

interface Secured {
  cluster: OwnCluster;
  /** Certificate of the authority that has signed the server's. */
  authority: string;
  /** That of an authority which has signed nothing here. */
  stranger: string;
}

async function makeAuthority(folder: string, name: string): Promise<string> {
  const file = join(folder, name);
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`],
    ...['-keyout', `${file}.key`, '-out', `${file}.crt`],
  ]);
  return `${file}.crt`;
}

/** A certificate for the name `localhost`, and for no address. */
async function secureServer(t: ExecutionContext): Promise<Secured> {
  const cluster = await ownCluster(t);
  const folder = temporaryFolder(t);
  const authority = await makeAuthority(folder, 'authority');
  const stranger = await makeAuthority(folder, 'stranger');
  const request = [
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=localhost',
    '-keyout',
    join(folder, 'server.key'),
  ];
  await run('openssl', ['req', ...request, '-out', join(folder, 'server.csr')]);
  writeFileSync(join(folder, 'names'), 'subjectAltName = DNS:localhost\n');
  await run('openssl', [
    ...['x509', '-req', '-in', join(folder, 'server.csr'), '-days', '2', '-CAcreateserial'],
    ...['-CA', authority, '-CAkey', authority.replace(/crt$/, 'key'), '-extfile', join(folder, 'names')],
    ...['-out', join(folder, 'server.crt')],
  ]);
  for (const name of ['server.key', 'server.crt']) {
    const file = join(cluster.data, name);
    copyFileSync(join(folder, name), file);
    chmodSync(file, 0o600);
    giveTo(serverAccount(), file);
  }
  const client = await connectTo(urlOf(cluster.port()));
  await client.query('alter system set ssl = on');
  await client.end();
  writeFileSync(
    join(cluster.data, 'pg_hba.conf'),
    'local all all trust\nhostssl all all 127.0.0.1/32 trust\n',
  );
  await serverProgram('pg_ctl', ['reload', '-s', '-D', cluster.data]);
  await eventually(async () => ((await statusWith(cluster, 'sslmode=disable')).code === 2 ? true : null));
  return { cluster, authority, stranger };
}

function target(cluster: OwnCluster, words: string, host = '127.0.0.1'): string {
  return `host=${host} port=${cluster.port()} user=postgres dbname=shop ${words}`;
}

async function statusWith(
  cluster: OwnCluster,
  words: string,
  host?: string,
): Promise<{ code: number; error: string }> {
  const { code, error } = await command('status', target(cluster, words, host));
  return { code, error };
}

test('each sslmode lets in and keeps out as libpq does', async (t) => {
  const { cluster, authority, stranger } = await secureServer(t);
  const works = async (words: string, host?: string): Promise<void> => {
    const { code, error } = await statusWith(cluster, words, host);
    t.is(code, 0, `${words}: ${error}`);
  };
  const fails = async (words: string, message: RegExp, host?: string): Promise<void> => {
    const { code, error } = await statusWith(cluster, words, host);
    t.is(code, 2, words);
    t.regex(error, message, words);
  };
  await fails('sslmode=disable', /no pg_hba.conf entry .*no encryption/);
  await works('sslmode=prefer');
  await works('sslmode=allow');
  await works('sslmode=require');
  await works(`sslmode=verify-ca sslrootcert=${authority}`);
  await fails(`sslmode=verify-ca sslrootcert=${stranger}`, /certificate/);
  await works(`sslmode=verify-full sslrootcert=${authority}`, 'localhost');
  // The name is asked for, whatever address it has.
  await works(`sslmode=verify-full sslrootcert=${authority} hostaddr=127.0.0.1`, 'localhost');
  await fails(`sslmode=verify-full sslrootcert=${authority}`, /does not match certificate's altnames/);
  await fails(`sslmode=verify-full sslrootcert=${stranger}`, /certificate/, 'localhost');
  await fails('sslmode=verify-full sslrootcert=/nowhere/root.crt', /\/nowhere\/root.crt/, 'localhost');
});

test('a worker that verifies the server in full runs and acts, each of its sessions over TLS', async (t) => {
  const { cluster, authority } = await secureServer(t);
  const url = `postgresql://postgres@localhost:${cluster.port()}/shop?sslmode=verify-full&sslrootcert=${encodeURIComponent(authority)}`;
  const asked = await command('config', 'set', 'features.pattern_learning.enabled', 'false', '-d', url);
  t.is(asked.code, 0, asked.error);
  const log = join(temporaryFolder(t), 'log');
  writeFileSync(log, '');
  const worker = spawn(
    'sh',
    ['-c', `exec "$0" "$@" 2>"${log}"`, process.execPath, join(repository, 'src/worker/cli.ts'), 'worker'],
    {
      env: { ...process.env, DATABASE_URL: url },
      stdio: 'ignore',
    },
  );
  t.teardown(() => worker.kill('SIGKILL'));
  const { code, out, error } = await command('run', '--force', '--wait', '--fail-on', 'never', '-d', url);
  t.is(code, 0, `${error}${out}${readFileSync(log, 'utf8')}`);
  const client = await connectTo(
    `${url.replace('verify-full', 'require').replace(/&sslrootcert.*$/, '')}&uselibpqcompat=true`,
  );
  t.teardown(() => client.end());
  const sessions = await eventually(async () => {
    const { rows } = await client.query<{ application: string; tls: boolean }>(
      `select a.application_name as application, s.ssl as tls from pg_stat_activity as a
       join pg_stat_ssl as s on s.pid = a.pid where a.application_name like 'pg-maint%'`,
    );
    const alive = await client.query('select from maint.worker');
    return rows.length > 0 && alive.rows.length > 0 ? rows : null;
  });
  t.deepEqual(
    sessions.filter(({ tls }) => !tls),
    [],
  );
  const { rows } = await client.query(`select from maint.run_log where status in ('success', 'partial')`);
  t.true(rows.length > 0);
});
