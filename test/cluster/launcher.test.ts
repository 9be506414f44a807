/** The launcher's life with the server: started with it, restarted, ended with it in whatever way it ends. */
import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { outDirectory } from '../../build/paths.ts';
import { eventually } from './own-cluster.ts';
import {
  launcherCluster,
  launcherPid,
  processesWith,
  script,
  waitForLog,
  waitForProcesses,
} from './launcher-cluster.ts';

/** A shim with a program below it, as npm and npx make them: three processes that bear the folder's name. */
const shim = (t: Parameters<typeof script>[0]): ReturnType<typeof script> =>
  script(
    t,
    `case "$1" in
       leaf) while :; do sleep 0.2; done ;;
       middle) "$0" leaf & wait ;;
       *) "$0" middle & wait ;;
     esac`,
  );

test.serial(
  'the command starts with the server, comes back after kill -9, and ends with a fast shutdown',
  async (t) => {
    const { path, folder } = shim(t);
    const cluster = await launcherCluster(t, { 'maint_launcher.command': path });
    const client = await cluster.connect();
    const first = await waitForProcesses(folder, 3);
    const { rows } = await client.query(
      `select state, query, datname from pg_stat_activity where backend_type = 'maint launcher'`,
    );
    const [top] = first.filter(({ command }) => command.endsWith('command.sh'));
    t.deepEqual(rows, [{ state: 'active', query: `running ${path} (process ${top!.pid})`, datname: null }]);
    t.is(
      readdirSync(`/proc/${cluster.pid()}/task`).length,
      1,
      'preloading starts no thread in the postmaster',
    );

    process.kill(top!.pid, 'SIGKILL');
    await waitForLog(
      cluster,
      new RegExp(
        `LOG: {2}maint launcher: "${path}" \\(process ${top!.pid}\\) was ended by signal 9: Killed\\n` +
          `.*DETAIL: {2}It had run for \\d+ s. It is started again in 1 s.`,
      ),
    );
    const second = await eventually(() => {
      const now = processesWith(folder);
      return Promise.resolve(now.length === 3 && !now.some(({ pid }) => pid === top!.pid) ? now : null);
    });
    t.deepEqual(
      second.filter(({ pid }) => first.some((old) => old.pid === pid)),
      [],
      'what the first had started is gone too',
    );

    await cluster.stop();
    t.deepEqual(processesWith(folder), []);
    t.regex(cluster.log(), /maint launcher: stopped/);
    t.notRegex(cluster.log(), /PANIC|terminated by signal|was lost/);
    await cluster.start();
    await waitForProcesses(folder, 3);
  },
);

test.serial('nothing is left when the postmaster is killed, and the server can start at once', async (t) => {
  // It won't hear of SIGTERM, and one of it leaves the process group.
  const { path, folder } = script(
    t,
    `trap '' TERM
     case "$1" in
       leaf) while :; do sleep 0.2; done ;;
       *) setsid "$0" leaf & "$0" leaf & wait; wait ;;
     esac`,
  );
  const cluster = await launcherCluster(t, {
    'maint_launcher.command': path,
    'maint_launcher.stop_timeout': '2s',
  });
  const old = await waitForProcesses(folder, 3);
  process.kill(cluster.pid(), 'SIGKILL');
  // Not before the other processes of the old server have seen it; but those that stop may go on stopping.
  await eventually(async () => {
    await cluster.start();
    return true;
  });
  await eventually(() =>
    Promise.resolve(
      processesWith(folder).some(({ pid }) => old.some((one) => one.pid === pid)) ? null : true,
    ),
  );
  await waitForProcesses(folder, 3);
  t.pass();
});

test.serial('immediate shutdown, too, leaves nothing', async (t) => {
  const { path, folder } = shim(t);
  const cluster = await launcherCluster(t, { 'maint_launcher.command': path });
  await waitForProcesses(folder, 3);
  await cluster.stop('immediate');
  await waitForProcesses(folder, 0);
  t.pass();
});

test.serial('whoever of launcher and keeper is killed, all are replaced', async (t) => {
  const { path, folder } = shim(t);
  const cluster = await launcherCluster(t, { 'maint_launcher.command': path });
  const client = await cluster.connect();
  const launcher = await launcherPid(client);
  const old = await waitForProcesses(folder, 3);
  const replaced = async (): Promise<void> => {
    await eventually(() => {
      const now = processesWith(folder);
      const fresh = now.length === 3 && !now.some(({ pid }) => old.some((one) => one.pid === pid));
      return Promise.resolve(fresh ? true : null);
    });
    old.splice(0, 3, ...processesWith(folder));
  };
  // The keeper stands between the launcher and the command.
  const keeper = old.find(({ command }) => command.endsWith('command.sh'))!.parent;
  t.regex(processesWith('maint launcher').find(({ pid }) => pid === keeper)?.command ?? '', /keeper/);
  process.kill(keeper, 'SIGKILL');
  await replaced();
  t.is(await launcherPid(client), launcher, 'the launcher lives on');

  await client.query('select pg_terminate_backend($1)', [launcher]);
  await replaced();
  t.not(await launcherPid(client), launcher);
  await client.query('select 1');

  // For the server this is the crash of one of its processes: all sessions end, and it recovers.
  const from = cluster.log().length;
  process.kill(await launcherPid(client), 'SIGKILL');
  await replaced();
  await waitForLog(cluster, /database system is ready to accept connections/, from);
  await eventually(async () => (await cluster.connect()).query('select 1'));
});

test.serial('a smart shutdown, of which no signal tells, does not wait for the command', async (t) => {
  const { path, folder } = shim(t);
  const cluster = await launcherCluster(t, { 'maint_launcher.command': path });
  await waitForProcesses(folder, 3);
  const client = await cluster.connect();
  process.kill(cluster.pid(), 'SIGTERM');
  await waitForProcesses(folder, 0);
  t.deepEqual((await client.query('select 1 as one')).rows, [{ one: 1 }], 'others may go on to their end');
  await cluster.stop('smart');
  t.regex(cluster.log(), /database system is shut down/);
});

test.serial('one that does not stop is killed in time', async (t) => {
  const { path, folder } = script(t, `trap '' TERM; while :; do sleep 0.2; done`);
  const cluster = await launcherCluster(t, {
    'maint_launcher.command': path,
    'maint_launcher.stop_timeout': '1s',
  });
  await waitForProcesses(folder, 1);
  await cluster.stop();
  t.deepEqual(processesWith(folder), []);
  t.regex(cluster.log(), /had not stopped in time and was killed/);
  t.notRegex(cluster.log(), /immediate shutdown/);
});

/** The seconds to the next try that the log announces, each with those that really passed until it. */
function tries(log: string, pattern: RegExp): { announced: number; passed: number | null }[] {
  const lines = log.split('\n');
  const found = lines.flatMap((line, at) =>
    pattern.test(line)
      ? [
          {
            at: Date.parse(line.slice(0, 23)),
            announced: Number(/again in (\d+) s/.exec(lines[at + 1]!)?.[1]),
          },
        ]
      : [],
  );
  return found.map(({ at, announced }, index) => {
    const next = found[index + 1];
    return { announced, passed: next === undefined ? null : (next.at - at) / 1000 };
  });
}

test.serial(
  'a command that can’t be started, or ends at once, is tried again less and less often',
  async (t) => {
    const { path, folder } = script(t, 'echo "no such database" >&2; exit 3');
    const cluster = await launcherCluster(t, { 'maint_launcher.command': `${folder}/missing --flag` });
    await waitForLog(cluster, /could not start .*\n.*again in 4 s/);
    t.regex(
      cluster.log(),
      /could not start ".*missing --flag": No such file or directory\n.*DETAIL: {2}It is tried again in 1 s\.\n.*HINT: {2}Programs are looked for in the PATH/,
    );
    const missing = tries(cluster.log(), /could not start/);
    t.deepEqual(
      missing.map(({ announced }) => announced),
      [1, 2, 4],
    );
    for (const { announced, passed } of missing.slice(0, 2)) t.true(passed! >= announced, `${passed} s`);

    const from = cluster.log().length;
    await cluster.reload({ 'maint_launcher.command': path });
    await waitForLog(
      cluster,
      /ended with exit code 3\n.*It had run for 0 s. It is started again in 4 s/,
      from,
    );
    t.regex(cluster.log(), /LOG: {2}maint launcher \[\d+\]: no such database\n/);
    const failing = tries(cluster.log(), /ended with exit code 3/);
    t.deepEqual(
      failing.map(({ announced }) => announced),
      [1, 2, 4],
    );
    for (const { announced, passed } of failing.slice(0, 2)) t.true(passed! >= announced, `${passed} s`);
  },
);

test.serial('the library without V8 does the same, and with both there is one launcher', async (t) => {
  const { path, folder } = shim(t);
  const library = join(folder, 'maint_launcher.so');
  copyFileSync(join(outDirectory, 'bridge/maint_launcher.so'), library);
  for (const language of [false, true]) {
    const cluster = await launcherCluster(
      t,
      { 'maint_launcher.command': path },
      { language, more: [library] },
    );
    await waitForProcesses(path, 3);
    const client = await cluster.connect();
    const launchers = await client.query(
      `select from pg_stat_activity where backend_type = 'maint launcher'`,
    );
    t.is(launchers.rowCount, 1);
    const mapped = readFileSync(`/proc/${cluster.pid()}/maps`, 'utf8');
    t.is(mapped.includes('libnode'), language);
    // By a session that loads it for the first time where it is not preloaded.
    const { rows } = await client
      .query(`create function one() returns int language maint_v8 as 'return 1'; select one()`)
      .then((results) => (results as unknown as { rows: unknown[] }[])[1]!);
    t.deepEqual(rows, [{ one: 1 }]);
    await cluster.stop();
    t.deepEqual(processesWith(path), []);
  }
});
