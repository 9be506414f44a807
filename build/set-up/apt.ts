import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CannotServe, say, useAnotherServer } from './problem.ts';
import { outDirectory, setUpLog } from '../paths.ts';
import { CommandFailed, run } from '../run.ts';

/** Whether a command is on the PATH. */
export function has(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The part of apt that set-up uses; tests put a pretended one in its place. */
export interface PackageSource {
  /** The version that would be installed, or null when the release has no such package. */
  candidate(name: string): Promise<string | null>;
  /** Names of real packages that it depends on. */
  dependencies(name: string): Promise<string[]>;
  installed(name: string): Promise<boolean>;
}

export const aptSource: PackageSource = {
  async candidate(name) {
    const { stdout } = await run('apt-cache', ['policy', name], { allowFailure: true, env: plainLanguage() });
    const version = /^\s*Candidate: (\S+)/m.exec(stdout)?.[1];
    return version === undefined || version === '(none)' ? null : version;
  },
  async dependencies(name) {
    const { stdout } = await run('apt-cache', ['depends', name], {
      allowFailure: true,
      env: plainLanguage(),
    });
    return [...stdout.matchAll(/^ +\|?(?:Pre)?Depends: ([^<\s]+)/gm)].map((match) => match[1] ?? '');
  },
  async installed(name) {
    const words = ['--show', '--showformat=${db:Status-Status}', name];
    const { stdout } = await run('dpkg-query', words, { allowFailure: true });
    return stdout.trim() === 'installed';
  },
};

function plainLanguage(): NodeJS.ProcessEnv {
  return { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
}

export function requireApt(missing: string): void {
  if (process.platform === 'linux' && has('apt-get') && has('apt-cache') && has('dpkg')) return;
  throw new CannotServe(`pg-maint needs ${missing}, and this machine has no apt-get to install it with.`, [
    'Install it by hand, or use Debian 12 or newer, or Ubuntu 24.04 or newer.',
    useAnotherServer,
  ]);
}

let updated = false;

/**
 * Refreshes apt's lists once. One source of several may fail: whether the wanted packages are there decides.
 * `packages` are named to a user who has to install them by hand.
 */
export async function updateLists(missing: string, packages: readonly string[]): Promise<void> {
  if (updated) return;
  updated = true;
  requireApt(missing);
  const words = await asRoot(['apt-get', 'update', '-qq', ...aptOptions], missing, packages);
  say('updating the package lists …');
  await run(words[0], words.slice(1), { log: setUpLog, allowFailure: true, env: plainLanguage() });
}

const aptOptions = ['-o', 'Acquire::Retries=3', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0'];

/** Installs packages, and only what they need. */
export async function install(packages: readonly string[]): Promise<void> {
  const list = packages.join(' ');
  const byHand = `apt-get install --no-install-recommends ${list}`;
  const words = await asRoot(
    ['apt-get', 'install', '-qq', '-y', '--no-install-recommends', ...aptOptions, ...packages],
    list,
    packages,
  );
  say(`installing ${list} …`);
  await withoutSystemCluster(async () => {
    try {
      await run(words[0], words.slice(1), { log: setUpLog, env: plainLanguage() });
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      throw new CannotServe(
        `${error.message}\n\npg-maint could not install ${list} (the whole log: ${setUpLog}).`,
        [
          `See that the machine reaches its package archive, and that this works:  ${byHand}`,
          useAnotherServer,
        ],
      );
    }
  });
}

/** The words that run a command as root: as they are, or through sudo. */
async function asRoot(
  command: readonly [string, ...string[]],
  missing: string,
  packages: readonly string[],
): Promise<readonly [string, ...string[]]> {
  if (process.getuid?.() === 0) return command;
  const byHand = ['apt-get update'];
  if (packages.length > 0) byHand.push(`apt-get install --no-install-recommends ${packages.join(' ')}`);
  const remedies = [`Run as root:  ${byHand.join(' && ')}`, useAnotherServer];
  if (!has('sudo')) {
    throw new CannotServe(`pg-maint needs ${missing}, and you are neither root nor is there sudo.`, remedies);
  }
  // With a terminal, sudo may ask for the password (it talks to the terminal itself); otherwise it must not hang.
  if (!process.stdin.isTTY) {
    const allowed = await run('sudo', ['-n', 'true'], { allowFailure: true });
    if (allowed.code !== 0) {
      throw new CannotServe(
        `pg-maint needs ${missing}, and sudo asks for a password that nobody can enter.`,
        remedies,
      );
    }
  }
  return ['sudo', 'env', 'DEBIAN_FRONTEND=noninteractive', 'LC_ALL=C', ...command];
}

const createclusterFolder = '/etc/postgresql-common/createcluster.d';

/**
 * Debian starts a cluster of its own when the server is first installed. Nobody asked us for that one, so it is
 * switched off for the time of our install.
 */
async function withoutSystemCluster<Result>(work: () => Promise<Result>): Promise<Result> {
  const file = join(createclusterFolder, 'zz-pg-maint.conf');
  const text = '# written by pg-maint for the time of its set-up\ncreate_main_cluster = false\n';
  const hadFolder = existsSync(createclusterFolder);
  const root = (...words: [string, ...string[]]): Promise<unknown> => {
    const [command, ...rest] = process.getuid?.() === 0 ? words : (['sudo', ...words] as const);
    return run(command, rest, { log: setUpLog });
  };
  const written = join(outDirectory, 'createcluster.conf');
  writeFileSync(written, text);
  await root('mkdir', '-p', createclusterFolder);
  await root('install', '-m', '644', written, file);
  try {
    return await work();
  } finally {
    await root('rm', '-f', file);
    if (!hadFolder) await root('rmdir', '--ignore-fail-on-non-empty', createclusterFolder);
    rmSync(written);
  }
}
