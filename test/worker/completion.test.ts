import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { outDirectory } from '../../build/paths.ts';
import { has } from '../../build/set-up/apt.ts';
import { run } from '../../build/run.ts';
import { temporaryFolder } from '../support/command.ts';

const program = join(outDirectory, 'worker/pg-maint.js');

/** What bash offers after the words, the last of which is being typed. */
async function offered(t: ExecutionContext, ...words: string[]): Promise<string[]> {
  const file = join(temporaryFolder(t), 'completion.bash');
  writeFileSync(file, (await run(process.execPath, [program, 'completion', 'bash'])).stdout);
  // As readline calls the function that `complete` has registered.
  const text = `source ${file}
    COMP_WORDS=(pg-maint "$@"); COMP_CWORD=$#
    name=$(complete -p pg-maint | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    "$name" pg-maint "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD-1]}"
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await run('bash', ['--norc', '-euc', text, 'bash', ...words]);
  return stdout.split('\n').filter(Boolean);
}

test('bash completes commands, those below config, options and their choices', async (t) => {
  t.deepEqual(await offered(t, 'unin'), ['uninstall']);
  t.true((await offered(t, '')).includes('doctor'));
  t.deepEqual((await offered(t, 'config', '')).sort(), ['apply', 'reset', 'set', 'show']);
  t.true((await offered(t, 'run', '--')).includes('--wait'));
  t.deepEqual((await offered(t, 'run', '--fail-on', '')).sort(), ['critical', 'info', 'never', 'warning']);
});

test('nothing that is typed is executed, and a word of another command changes nothing', async (t) => {
  const marker = join(temporaryFolder(t), 'executed');
  t.true((await offered(t, 'findings', `$(touch ${marker})`, '--')).includes('--severity'));
  t.false(existsSync(marker));
  t.deepEqual(await offered(t, 'run', 'config', 'sh'), []);
  t.deepEqual(await offered(t, 'install', '--engine', 'pl'), ['plv8']);
});

/** Run where the shell is installed: nobody needs three shells to work on this. */
function inShell(shell: 'zsh' | 'fish'): typeof test | typeof test.skip {
  return has(shell) ? test : test.skip;
}

interface Case {
  typed: readonly string[];
  offers: readonly string[];
  not?: readonly string[];
}

/** The last word is being typed. */
const cases: readonly Case[] = [
  { typed: ['unin'], offers: ['uninstall'], not: ['install'] },
  { typed: [''], offers: ['doctor', 'run', 'report'] },
  { typed: ['config', ''], offers: ['apply', 'reset', 'set', 'show'], not: ['doctor'] },
  { typed: ['run', '--'], offers: ['--wait', '--force', '--fail-on'], not: ['--severity'] },
  { typed: ['run', '--fail-on', ''], offers: ['critical', 'info', 'never', 'warning'] },
  { typed: ['findings', '$(touch executed)', '--'], offers: ['--severity'] },
];

async function scriptFor(t: ExecutionContext, shell: string): Promise<string> {
  const file = join(temporaryFolder(t), `completion.${shell}`);
  writeFileSync(file, (await run(process.execPath, [program, 'completion', shell])).stdout);
  return file;
}

function compare(t: ExecutionContext, { typed, offers, not = [] }: Case, stdout: string): void {
  // fish puts the description behind a tab.
  const words = stdout.split('\n').map((line) => line.split('\t')[0] ?? '');
  for (const word of offers)
    t.true(words.includes(word), `${typed.join(' ')}: ${word} in ${words.join(' ')}`);
  for (const word of not) t.false(words.includes(word), `${typed.join(' ')}: ${word} in ${words.join(' ')}`);
}

inShell('fish')('fish completes the same (skipped where there is no fish)', async (t) => {
  const file = await scriptFor(t, 'fish');
  const folder = temporaryFolder(t);
  for (const each of cases) {
    const line = ['pg-maint', ...each.typed].join(' ');
    const text = 'source $argv[1]; complete -C $argv[2]';
    const { stdout } = await run('fish', ['--no-config', '-c', text, file, line], { cwd: folder });
    compare(t, each, stdout);
  }
  t.false(existsSync(join(folder, 'executed')));
});

inShell('zsh')('zsh completes the same (skipped where there is no zsh)', async (t) => {
  const file = await scriptFor(t, 'zsh');
  const folder = temporaryFolder(t);
  for (const each of cases) {
    // As bashcompinit calls the function: with the shell's own compgen, and as sh counts the words.
    const text = `source $1; shift
      [[ \${_comps[pg-maint]} == *_pg_maint* ]] || exit 3
      emulate sh; setopt kshglob noshglob braceexpand
      COMP_WORDS=(pg-maint "$@"); COMP_CWORD=$#
      _pg_maint; print -l -- "\${COMPREPLY[@]}"`;
    const { stdout } = await run('zsh', ['-f', '-c', text, 'zsh', file, ...each.typed], {
      cwd: folder,
      env: { ...process.env, HOME: folder, ZDOTDIR: folder },
    });
    // Words that do not begin with what is typed are left out by zsh itself, in compadd.
    const begin = each.typed.at(-1) ?? '';
    const left = stdout.split('\n').filter((word) => word.startsWith(begin));
    compare(t, each, left.join('\n'));
  }
  t.false(existsSync(join(folder, 'executed')));
});

test('there are scripts for zsh and fish, and another shell is refused', async (t) => {
  for (const shell of ['zsh', 'fish']) {
    const { stdout } = await run(process.execPath, [program, 'completion', shell]);
    t.regex(stdout, /fail-on/, shell);
    t.notRegex(stdout, /undefined|\[object/, shell);
  }
  const options = { allowFailure: true };
  const { code, stderr } = await run(process.execPath, [program, 'completion', 'tcl'], options);
  t.is(code, 2);
  t.regex(stderr, /Allowed choices are bash, zsh, fish/);
});
