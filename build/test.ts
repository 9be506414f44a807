import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { check } from './check.ts';
import { startCluster } from './cluster.ts';
import { binDirectory, repository } from './paths.ts';
import { Report } from './test-run/report.ts';

/**
 * `npm test`: the checks, then every test on a server that lives as long as the run. With arguments for ava, such
 * as a file's name, only that. MAINT_TEST_URL names a server that runs already.
 */
async function main(words: readonly string[]): Promise<number> {
  const checked = words.length > 0 || (await check());
  const named = process.env['MAINT_TEST_URL'] ?? '';
  const cluster = named === '' ? await startCluster({ ephemeral: true }) : null;
  try {
    const tested = await runAva(words, cluster?.url ?? named);
    return checked && tested ? 0 : 1;
  } finally {
    await cluster?.stop('immediate');
  }
}

async function runAva(words: readonly string[], url: string): Promise<boolean> {
  const report = new Report((line) => process.stdout.write(`${line}\n`));
  const ava = spawn(join(binDirectory, 'ava'), ['--tap', ...words], {
    cwd: repository,
    env: { ...process.env, MAINT_TEST_URL: url },
    stdio: ['inherit', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: ava.stdout });
  lines.on('line', (line) => {
    report.line(line);
  });
  // Both: the last lines may still be on their way when the process is gone.
  const [[code]] = (await Promise.all([once(ava, 'exit'), once(lines, 'close')])) as [
    [number | null],
    unknown,
  ];
  if (!report.complete) process.stdout.write('ava did not come to its end\n');
  process.stdout.write(`\n${report.closing()}\n`);
  return code === 0 && report.complete && report.count.failed === 0;
}

process.exitCode = await main(process.argv.slice(2));
