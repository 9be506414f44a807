/** What the launcher's command writes: into the server's log, in good order, and never waiting for it. */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { eventually } from './own-cluster.ts';
import { launcherCluster, launcherPid, processesWith, script, waitForLog } from './launcher-cluster.ts';

// What the scripts become in the end, with a number that no other process bears.
const rest = `sleep ${randomInt(1_000_000, 2_000_000)}`;

function written(log: string): string[] {
  return [...log.matchAll(/LOG: {2}maint launcher \[\d+\]: (.*)/g)].map(([, line]) => line!);
}

test.serial('odd, long and unfinished lines', async (t) => {
  const { path } = script(
    t,
    `printf 'tab\\there bell\\007 escape\\033[31m bad\\377\\200 good \\303\\274\\r\\n'
     printf '\\n\\n'
     head -c 5000 /dev/zero | tr '\\0' x; echo
     echo 'to the other' >&2
     printf 'no end'; sleep 3; printf ' of it'
     exec ${rest}`,
  );
  const cluster = await launcherCluster(t, { 'maint_launcher.command': path });
  await waitForLog(cluster, /\]: {2}of it\n/);
  t.deepEqual(written(cluster.log()), [
    'tab\there bell? escape?[31m bad?? good ü',
    `${'x'.repeat(2000)} ... (3000 bytes more)`,
    'to the other',
    'no end',
    ' of it',
  ]);
});

test.serial('the last words of one that ends are there', async (t) => {
  const { path } = script(t, `echo first; printf last; exit 1`);
  const cluster = await launcherCluster(t, { 'maint_launcher.command': path });
  await waitForLog(cluster, /\]: first\n.*\]: last\n.*ended with exit code 1\n/);
  t.pass();
});

test.serial('a flood is read and counted, and only its beginning is kept', async (t) => {
  const count = 200_000;
  const { path } = script(t, `seq 1 ${count}; exec ${rest}`);
  const cluster = await launcherCluster(t, { 'maint_launcher.command': path });
  await eventually(() => Promise.resolve(processesWith(rest).length > 0 ? true : null));
  await cluster.reload({ 'maint_launcher.enabled': 'off' });
  await waitForLog(cluster, /maint launcher: stopped/);
  const lines = written(cluster.log());
  const leftOut = lines.flatMap((line) => /^(\d+) more lines left out$/.exec(line)?.[1] ?? []);
  const kept = lines.filter((line) => /^\d+$/.test(line)).length;
  t.true(kept >= 500 && kept < count / 10, String(kept));
  t.is(kept + leftOut.map(Number).reduce((sum, each) => sum + each, 0), count);
});

test.serial('when nobody writes any more the launcher does not look all the time', async (t) => {
  const { path } = script(t, `exec ${rest} >/dev/null 2>&1`);
  const cluster = await launcherCluster(t, { 'maint_launcher.command': path });
  await eventually(() => Promise.resolve(processesWith(rest).length > 0 ? true : null));
  const launcher = await launcherPid(await cluster.connect());
  const used = (): number => {
    const words = readFileSync(`/proc/${launcher}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return Number(words[11]) + Number(words[12]);
  };
  const before = used();
  await sleep(3000);
  t.true(used() - before < 20, `${used() - before} ticks of 10 ms in 3 s`);
});
