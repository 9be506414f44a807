import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { outDirectory } from '../../build/paths.ts';
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
