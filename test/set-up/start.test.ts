/** `npm start`, from nothing to its table, and when it is interrupted. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { install } from '../../src/worker/install.ts';
import { repository } from '../../build/paths.ts';
import { temporaryFolder } from '../support/command.ts';
import { createDatabase } from '../support/database.ts';
import { startWorker } from '../support/worker.ts';
import { waitForRow } from '../support/maintenance.ts';

interface Ended {
  code: number | null;
  out: string;
  error: string;
}

/** Runs it as `npm start` does after the set-up; `at` gets what was printed so far, and may send a signal. */
async function start(
  environment: NodeJS.ProcessEnv,
  at: (printed: string, kill: (signal: NodeJS.Signals) => void) => void = () => undefined,
): Promise<Ended> {
  const child = spawn(process.execPath, [join(repository, 'build/start.ts')], {
    cwd: repository,
    env: { ...process.env, DATABASE_URL: '', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended: Ended = { code: null, out: '', error: '' };
  const look = (): void => {
    at(ended.error + ended.out, (signal) => child.kill(signal));
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.out += text;
    look();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.error += text;
    look();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { ...ended, code };
}

test.serial(
  'a sample shop is cleaned where the defaults allow it, and told of where they do not',
  async (t) => {
    const { code, out, error } = await start({});
    t.is(code, 0, error);
    t.regex(out, /call maint\.run_and_wait\(force => true\);\nNOTICE: {2}step 0 bypass_status: success/);
    t.regex(out, /NOTICE: {2}action \d+ drop_index shop\.customer_email_key: succeeded/);
    t.regex(out, /gone: alter index shop\.customer_email_key rename to/);
    t.regex(out, /select maint\.apply\(\d+\);/);
    // The two that actions removed, and nothing that went away by itself.
    t.regex(out, /\n2 cleaned, (\d+ no longer found, )?\d+ wait for your word, \d+ for you to do/);
    t.notRegex(out, /under way/);
  },
);

test.serial('interrupted at any stage it ends quietly and leaves no server behind', async (t) => {
  for (const [stage, signal] of [
    ['some load', 'SIGINT'],
    ['step 2 ', 'SIGTERM'],
  ] as const) {
    const folder = temporaryFolder(t);
    let sent = false;
    const { code, error } = await start({ TMPDIR: folder }, (printed, kill) => {
      if (sent || !printed.includes(stage)) return;
      sent = true;
      kill(signal);
    });
    t.true(sent, stage);
    t.is(code, 130, `${stage}: ${error}`);
    t.notRegex(error, /at .*\.ts:/, 'no stack');
    t.deepEqual(readdirSync(join(folder, `pg-maint-${process.getuid!()}`)), [], stage);
  }
});

test.serial(
  'with DATABASE_URL it touches nothing but its own schemas, and uses a worker that is there',
  async (t) => {
    const alone = await createDatabase(t);
    const first = await start({ DATABASE_URL: alone.url });
    t.is(first.code, 1, 'a database without amcheck is not examined in full');
    t.regex(first.out, /select maint\.run\(force => true\);/);
    t.deepEqual(
      await alone.query(
        `select nspname from pg_namespace where nspname !~ '^pg_|^information_schema$' order by 1`,
      ),
      [
        { nspname: 'maint' },
        { nspname: 'maint_boss' },
        { nspname: 'maint_privileged' },
        { nspname: 'public' },
      ],
    );
    const served = await createDatabase(t);
    await install(served.url);
    startWorker(t, served);
    await waitForRow(served, 'select from maint.worker');
    const second = await start({ DATABASE_URL: served.url });
    t.is(second.code, 1, second.error);
    t.regex(second.out, /call maint\.run_and_wait\(force => true\);/);
  },
);
