/** docs/pg-maint-worker.service: what systemd makes of it, and that the command understands what it is told there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test from 'ava';
import { repository } from '../../build/paths.ts';
import { run } from '../../build/run.ts';
import { temporaryFolder } from '../support/command.ts';

const unit = readFileSync(join(repository, 'docs/pg-maint-worker.service'), 'utf8');
const program = '/usr/local/bin/pg-maint';

function valueOf(key: string): string {
  const values = [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value!);
  if (values.length !== 1) throw new Error(`${key} stands there ${values.length} times`);
  return values[0]!;
}

test('the command it names takes these options and stops in the time it gives', async (t) => {
  const [name, ...words] = valueOf('ExecStart').split(' ');
  t.is(name, program);
  // Port 1 of this machine: the worker waits for its database.
  const worker = spawn(process.execPath, [join(repository, 'src/worker/cli.ts'), ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, DATABASE_URL: 'postgresql://127.0.0.1:1/shop' },
  });
  t.teardown(() => worker.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: worker.stderr }), 'line')) as [string];
  t.is(line, 'pg-maint worker: started, one database');
  worker.kill('SIGTERM');
  const [code] = (await once(worker, 'exit')) as [number | null];
  t.is(code, 0);
  const stopAfter = Number(words[words.indexOf('--stop-after') + 1]);
  t.true(Number(valueOf('TimeoutStopSec')) > stopAfter, 'systemd kills it only when its own time is over');
});

const hasSystemd = existsSync('/usr/bin/systemd-analyze');
(hasSystemd ? test : test.skip)('systemd understands all of it and rates it well protected', async (t) => {
  const file = join(temporaryFolder(t), 'pg-maint-worker.service');
  // The program must be there for systemd to be content.
  writeFileSync(file, unit.replace(`ExecStart=${program}`, `ExecStart=${process.execPath}`));
  const verified = await run('systemd-analyze', ['verify', file], { allowFailure: true });
  t.deepEqual([verified.code, verified.stderr], [0, '']);
  // From 0 (closed) to 100; units without any protection have 96.
  const rated = await run('systemd-analyze', ['security', '--offline=true', '--threshold=20', file], {
    allowFailure: true,
  });
  t.is(rated.code, 0, rated.stdout);
});
