import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asAccount, giveTo, type Account } from './account.ts';
import type { Layout } from './layout.ts';
import type { PostgresInstall } from '../postgres.ts';
import { run } from '../run.ts';

/** Longer paths do not fit into the kernel's address of a Unix socket (108 bytes, with the file's name). */
const longestSocketDirectory = 85;

/** A throw-away server: quick rather than crash-safe, and able to show everything that the checks look at. */
const throwAwaySettings: Record<string, string> = {
  listen_addresses: '127.0.0.1',
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  shared_preload_libraries: 'pg_stat_statements',
  // All tests share it and bring some 100,000 statements; with the default of 5000 they push each other's out.
  'pg_stat_statements.max': '200000',
  track_io_timing: 'on',
  max_connections: '200',
  max_prepared_transactions: '10',
  wal_level: 'logical',
  autovacuum: 'on',
  jit: 'off',
  shared_buffers: '128MB',
  max_wal_size: '2GB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
  log_line_prefix: '%m [%p] %q%u@%d ',
  log_checkpoints: 'off',
};

/** initdb, as the server's account, with the superuser `postgres` and trust for this machine only. */
export async function initialize(
  layout: Layout,
  postgres: PostgresInstall,
  account: Account | null,
): Promise<void> {
  const initdb = [
    join(postgres.binDirectory, 'initdb'),
    `--pgdata=${layout.data}`,
    '--username=postgres',
    '--auth=trust',
    '--encoding=UTF8',
    '--locale=C.UTF-8',
    '--data-checksums',
    '--no-sync',
    '--no-instructions',
  ];
  // initdb may take its time; it must not outlive a caller that is killed meanwhile.
  const [command, ...words] = asAccount(account, initdb, { diesWithCaller: true });
  await run(command, words, { cwd: layout.directory });
  appendFileSync(join(layout.data, 'postgresql.conf'), `include 'pg-maint.conf'\n`);
}

/** Writes the settings anew at every start, so that a changed option takes effect on an old directory. */
export function writeSettings(
  layout: Layout,
  account: Account | null,
  port: number,
  more: Record<string, string>,
): void {
  const socket = Buffer.byteLength(layout.socket) <= longestSocketDirectory ? layout.socket : '';
  const settings = { ...throwAwaySettings, unix_socket_directories: socket, ...more, port: String(port) };
  const lines = Object.entries(settings).map(([name, value]) => {
    if (!/^[a-z_][\w.]*$/i.test(name)) throw new Error(`"${name}" is no name of a setting`);
    return `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'\n`;
  });
  const path = join(layout.data, 'pg-maint.conf');
  writeFileSync(path, lines.join(''));
  giveTo(account, path);
}
