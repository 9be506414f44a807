import { spawnSync } from 'node:child_process';
import { chownSync, readFileSync } from 'node:fs';

/** The unprivileged account that runs the server when the caller is root; PostgreSQL refuses to run as root. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

const candidates = ['postgres', 'nobody'];

/** The account to run the server under, or null when the caller is no root and runs it itself. */
export function serverAccount(): Account | null {
  if (process.getuid?.() !== 0) return null;
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of candidates) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
    if (uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    `the server may not run as root and this machine has no account ${candidates.join(' or ')}`,
  );
}

/**
 * The words that run a command as `account`. With `diesWithCaller` the kernel sends it SIGQUIT (PostgreSQL's
 * immediate shutdown) when the calling process ends for whatever reason, kill -9 included.
 */
export function asAccount(
  account: Account | null,
  command: readonly string[],
  options: { diesWithCaller: boolean },
): [string, ...string[]] {
  const words: [string, ...string[]] = ['setpriv'];
  if (account !== null) {
    words.push(`--reuid=${account.uid}`, `--regid=${account.gid}`, '--init-groups');
  }
  if (options.diesWithCaller) words.push('--pdeathsig=QUIT');
  return [...words, '--', ...command];
}

export function giveTo(account: Account | null, path: string): void {
  if (account !== null) chownSync(path, account.uid, account.gid);
}

/** Whether the account can pass through a folder: one 0700 folder above is enough to keep it out. */
export function canReach(account: Account | null, directory: string): boolean {
  if (account === null) return true;
  const [command, ...words] = asAccount(account, ['test', '-x', directory], { diesWithCaller: false });
  return spawnSync(command, words, { stdio: 'ignore' }).status === 0;
}
