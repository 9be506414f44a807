/** What the launcher's command is given, and what a reload of the settings does to it. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { layoutOf } from '../../build/cluster/layout.ts';
import { refusalOf } from '../bridge/language.ts';
import { eventually } from './own-cluster.ts';
import { startStandby } from './standby-server.ts';
import {
  launcherCluster,
  launcherPid,
  processesWith,
  script,
  waitForLog,
  waitForProcesses,
} from './launcher-cluster.ts';

/** Shows what it was given as lines of the log, and stays. */
const telling = `
  n=0
  for word in "$@"; do n=$((n + 1)); printf 'word %s: %s\\n' "$n" "$word"; done
  env | sort | sed 's/^/env /'
  echo "folder $PWD"
  echo "files $(ls /proc/self/fd | tr '\\n' ' ')"
  sed -n 's/^Sig\\(Blk\\|Ign\\|Cgt\\):/signals &/p' /proc/self/status
  ps -o pgid= -p $$ | sed "s/ //g; s/$/ group of $$/"
  echo told
  exec sleep 1000`;

test.serial(
  'the command gets its words, its databases, this server, and nothing of the server process',
  async (t) => {
    const { path } = script(t, telling);
    const cluster = await launcherCluster(t, {
      'maint_launcher.command': `${path} plain  "two words" 'it''s' back\\ slash "a\\"b\\\\c" '$HOME' ""`,
      'maint_launcher.databases': `shop, "Odd / ""name"" 100%", postgresql://u@h/d`,
    });
    await waitForLog(cluster, /: told\n/);
    const told = [...cluster.log().matchAll(/LOG: {2}maint launcher \[(\d+)\]: (.*)/g)].map(
      ([, , line]) => line!,
    );
    const process = /LOG: {2}maint launcher: started ".*" \(process (\d+)\)/.exec(cluster.log())?.[1];
    t.deepEqual(
      told.filter((line) => line.startsWith('word ')),
      [
        'word 1: plain',
        'word 2: two words',
        `word 3: its`,
        'word 4: back slash',
        'word 5: a"b\\c',
        'word 6: $HOME',
        'word 7: ',
        'word 8: --database',
        'word 9: postgresql:///shop',
        'word 10: --database',
        'word 11: postgresql:///Odd%20%2F%20%22name%22%20100%25',
        'word 12: --database',
        'word 13: postgresql://u@h/d',
      ],
    );
    const layout = layoutOf(cluster.directory);
    for (const line of [
      `env PGHOST=${layout.socket}`,
      `env PGPORT=${cluster.port()}`,
      'env PGDATABASE=postgres',
      'env PGUSER=postgres',
      'folder /',
      'files 0 1 2 3 ',
      'signals SigBlk:\t0000000000000000',
      'signals SigIgn:\t0000000000000000',
      `${process} group of ${process}`,
    ]) {
      t.true(told.includes(line), `${line}\nin\n${told.join('\n')}`);
    }
    t.false(told.some((line) => /^env (DATABASE_URL|PGSERVICE|PGPASSWORD|PGOPTIONS)=/.test(line)));
  },
);

test.serial('a reload stops it, starts it, replaces it, or leaves it alone', async (t) => {
  const { path, folder } = script(t, 'while :; do sleep 0.2; done');
  const cluster = await launcherCluster(t, { 'maint_launcher.command': path });
  const client = await cluster.connect();
  const launcher = await launcherPid(client);
  const told = (): string =>
    [...cluster.log().matchAll(/maint launcher: (started|stopped) "/g)].map(([, what]) => what).join(' ');
  const [first] = await waitForProcesses(folder, 1);

  await cluster.reload({ work_mem: '5MB', 'maint_launcher.stop_timeout': '7s' });
  await eventually(async () => {
    const { rows } = await client.query<{ work_mem: string }>('show work_mem');
    return rows[0]!.work_mem === '5MB' ? true : null;
  });

  await cluster.reload({ 'maint_launcher.enabled': 'off' });
  await waitForProcesses(folder, 0);
  await eventually(async () => {
    const shown = await client.query(
      `select from pg_stat_activity where pid = $1 and state = 'idle' and query = 'disabled'`,
      [launcher],
    );
    return shown.rowCount === 1 ? true : null;
  });
  await cluster.reload({ 'maint_launcher.enabled': 'on' });
  const [second] = await waitForProcesses(folder, 1);
  t.not(second!.pid, first!.pid);
  await waitForLog(cluster, /started "[^]*stopped "[^]*started "/);
  t.is(told(), 'started stopped started', 'the reload of other settings has not replaced it');

  await cluster.reload({ 'maint_launcher.command': `${path} other` });
  await waitForProcesses('command.sh other', 1);
  await waitForProcesses(folder, 1);
  await cluster.reload({ 'maint_launcher.databases': 'shop' });
  await waitForProcesses('command.sh other --database postgresql:///shop', 1);
  await waitForProcesses(folder, 1);
  // It is told once the old one has ended, so this order says that there were never two.
  await waitForLog(cluster, /(started "[^]*stopped "[^]*){3}started "/);
  t.is(told(), 'started stopped started stopped started stopped started');
  t.is(await launcherPid(client), launcher);
});

test.serial('settings that can’t be meant are refused, and the command goes on', async (t) => {
  const { path, folder } = script(t, 'while :; do sleep 0.2; done');
  const cluster = await launcherCluster(t, { 'maint_launcher.command': path });
  const client = await cluster.connect();
  const [first] = await waitForProcesses(folder, 1);
  for (const [name, value, detail] of [
    ['command', 'pg-maint "worker', 'A quote is not closed.'],
    ['command', "pg-maint 'worker", 'A quote is not closed.'],
    ['command', '  ', 'It names no program.'],
    ['command', '""', 'It names no program.'],
    [
      'databases',
      'shop,,crm',
      'Expected names of databases or URLs, with commas between them, or * alone for all.',
    ],
    [
      'databases',
      '*, shop',
      'Expected names of databases or URLs, with commas between them, or * alone for all.',
    ],
    [
      'databases',
      'shop crm',
      'Expected names of databases or URLs, with commas between them, or * alone for all.',
    ],
  ] as const) {
    const refusal = await refusalOf(
      client.query(`alter system set maint_launcher.${name} = ${client.escapeLiteral(value)}`),
    );
    t.is(refusal.code, '22023', value);
    t.is(refusal.detail, detail, value);
  }
  t.regex(
    (await refusalOf(client.query('set maint_launcher.enabled = off'))).message,
    /cannot be changed now/,
  );
  t.regex(
    (await refusalOf(client.query(`set maint_launcher.nonsense = '1'`))).message,
    /invalid configuration/,
  );
  await client.query('create role somebody; set role somebody');
  t.is(
    (await refusalOf(client.query('show maint_launcher.databases'))).code,
    '42501',
    'a URL may hold a password',
  );
  t.is(processesWith(folder)[0]?.pid, first!.pid);
});

test.serial(
  'without a folder for sockets the command is led to an address, else it is not started',
  async (t) => {
    const { path, folder } = script(t, `echo "to $PGHOST"; while :; do sleep 0.2; done`);
    const cluster = await launcherCluster(t, {
      'maint_launcher.command': path,
      unix_socket_directories: '',
      listen_addresses: '*',
    });
    await waitForLog(cluster, /: to 127\.0\.0\.1\n/);
    await cluster.stop();
    const from = cluster.log().length;
    const own = join(layoutOf(cluster.directory).data, 'postgresql.auto.conf');
    // A name in the kernel alone, which no program but libpq knows.
    appendFileSync(own, `listen_addresses = ''\nunix_socket_directories = '@pg-maint-${process.pid}'\n`);
    await cluster.start();
    await waitForLog(
      cluster,
      /can't start ".*"\n.*Neither unix_socket_directories nor listen_addresses names a place /,
      from,
    );
    t.deepEqual(processesWith(folder), []);
  },
);

test.serial('never on a standby, and at once after its promotion', async (t) => {
  const { path, folder } = script(t, 'while :; do sleep 0.2; done');
  const primary = await launcherCluster(t, { 'maint_launcher.command': path });
  await waitForProcesses(folder, 1);
  const standby = await startStandby(t, primary, 'postgres');
  await standby.query('select pg_sleep(1)');
  await waitForProcesses(folder, 1);
  t.is(
    (await standby.query(`select from pg_stat_activity where backend_type = 'maint launcher'`)).rowCount,
    0,
  );
  await standby.query('select pg_promote(true)');
  await waitForProcesses(folder, 2);
});
