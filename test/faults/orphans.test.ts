/** kill -9 of a worker whose job computes in a process of its own: that ends as well. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { repository } from '../../build/paths.ts';
import { eventually } from '../cluster/own-cluster.ts';
import { temporaryFolder } from '../support/command.ts';

/** State and parent of a process; null where there is none, or only what its parent has not buried. */
function alive(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return !/^State:\s+Z/m.test(status);
  } catch {
    return false;
  }
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((each) => {
      if (!Number.isInteger(each) || each === 0) return false;
      try {
        return readFileSync(`/proc/${each}/status`, 'utf8').includes(`\nPPid:\t${pid}\n`);
      } catch {
        return false;
      }
    });
}

for (const busy of [true, false]) {
  test(`a process that ${busy ? 'computes without a pause' : 'waits'} does not outlive its worker`, async (t) => {
    const folder = temporaryFolder(t);
    const begun = join(folder, 'begun');
    const source = JSON.stringify(join(repository, 'src/worker/child-process.ts'));
    writeFileSync(
      join(folder, 'job.ts'),
      `import { writeFileSync } from 'node:fs';
       import { answerJob } from ${source};
       answerJob(async () => { writeFileSync(${JSON.stringify(begun)}, ''); ${busy ? 'for (;;);' : 'await new Promise(() => setInterval(() => {}, 1000));'} });`,
    );
    writeFileSync(
      join(folder, 'worker.ts'),
      `import { performInProcess } from ${source};
       await performInProcess(${JSON.stringify(join(folder, 'job.ts'))}, {}, {
         nodeOptions: [], timeoutSeconds: 600, signal: new AbortController().signal });`,
    );
    const worker = spawn(process.execPath, [join(folder, 'worker.ts')], { stdio: 'ignore' });
    t.teardown(() => worker.kill('SIGKILL'));
    const child = await eventually(() => {
      const [first] = childrenOf(worker.pid!);
      return Promise.resolve(first !== undefined && existsSync(begun) ? first : null);
    });
    t.teardown(() => {
      if (alive(child)) process.kill(child, 'SIGKILL');
    });
    t.true(alive(child), 'it works as long as its worker lives');
    const ended = once(worker, 'exit');
    worker.kill('SIGKILL');
    await ended;
    await eventually(() => Promise.resolve(alive(child) ? null : true));
    t.false(alive(child));
  });
}
