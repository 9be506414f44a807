import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { readManifest } from '../../src/worker/manifest.ts';
import { command } from '../support/cli.ts';
import { createDatabase } from '../support/database.ts';

async function succeeds(t: ExecutionContext, ...words: string[]): Promise<string> {
  const answer = await command(...words);
  t.is(answer.code, 0, answer.error);
  t.is(answer.error, '');
  return answer.out;
}

async function cannot(t: ExecutionContext, error: RegExp, ...words: string[]): Promise<void> {
  const answer = await command(...words);
  t.is(answer.code, 2, answer.out);
  t.regex(answer.error, error);
  t.is(answer.out, '');
  t.notRegex(answer.error, /^ {4}at /m, 'no stack for what the caller can mend');
}

test('install, run, status and uninstall', async (t) => {
  const database = await createDatabase(t);
  t.regex(
    await succeeds(t, 'install', database.url),
    /: installed\nengine (plv8|maint_v8|worker), owner maint_owner\n/,
  );
  t.regex(await succeeds(t, 'install', database.url), /already installed; nothing had to change/);
  t.regex(await succeeds(t, 'status', database.url), /last run +none\n/);
  const { code, out: run } = await command('run', database.url, '--force');
  t.is(code, 1, 'not all was examined');
  t.regex(run, /^Run 1: partial, [0-9.]+ ms, engine/);
  t.regex(run, /^ +0 {2}bypass_status +success +[0-9.]+ {2}nothing bypassed$/m);
  t.regex(run, /^No open findings in what was examined$/m);
  t.regex(run, /^Not examined: \d+ things not examined/m);
  t.regex(run, /^gap +integrity_check: Structure of B-tree indexes \(amcheck\) \(not_installed\)/m);
  t.regex(run, /^ {4}create extension amcheck;$/m);
  t.regex(await succeeds(t, 'status', database.url), /not examined +\d+ open, 0 accepted/);

  const skipped = await command('run', database.url);
  t.regex(skipped.out, /^Maintenance was skipped \(not_due\): /);
  t.is(skipped.code, 1, 'what was not examined before still is not');
  const found = await command('findings', database.url);
  t.is(found.code, 1, 'no findings in a database that was not examined is not healthy');
  t.regex(found.out, /^Not examined: /m);
  t.is((await command('findings', database.url, '--fail-on', 'never')).code, 0);
  t.regex(await succeeds(t, 'status', database.url), /last run +1, partial, /);
  t.regex(await succeeds(t, 'uninstall', database.url), /is removed from database/);
  t.regex(await succeeds(t, 'uninstall', database.url), /was not installed/);
});

test('answers as JSON', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const result = JSON.parse(
    await succeeds(t, 'run', database.url, '--json', '--dry-run', '--only', '0,invalid_indexes'),
  ) as {
    dry_run: boolean;
    steps: Record<string, { status: string }>;
  };
  t.true(result.dry_run);
  t.is(result.steps['invalid_indexes']?.status, 'success');
  t.is(result.steps['orphaned_indexes']?.status, 'skipped');
  t.like(JSON.parse(await succeeds(t, 'status', database.url, '--json')), { last_run: null });
  t.like(JSON.parse(await succeeds(t, 'install', database.url, '--json')), { database: database.name });
});

test('a run that is partial ends with 1 and says why', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`create function public.fail() returns trigger language plpgsql as
      $$begin raise exception E'no \\033[31mway' using errcode = '42501'; end$$;
    create trigger fail before insert on maint.step_log for each row
      when (new.step_number = 2 and new.status = 'success') execute function public.fail()`);
  const answer = await command('run', database.url, '--force');
  t.is(answer.code, 1);
  t.regex(answer.out, /: partial, /);
  t.regex(answer.out, /failed .*not_permitted: no \\u001B\[31mway/);
  t.notRegex(answer.out, /[^\P{Cc}\n]/u);
});

test('configuration: set, show, apply, reset', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const path = 'features.invalid_index_cleanup.auto_cleanup';
  t.is(await succeeds(t, 'config', 'set', database.url, path, 'false'), `${path} = false\n`);
  t.is(
    await succeeds(t, 'config', 'set', database.url, path, 'true', '--scope', 'table:App.orders'),
    `${path} for table:app.orders = true\n`,
  );
  const shown = await succeeds(t, 'config', 'show', database.url);
  const folder = mkdtempSync(join(tmpdir(), 'pg-maint-cli-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  const file = join(folder, 'maint.yaml');
  writeFileSync(file, shown);
  t.is(await succeeds(t, 'config', 'apply', database.url, file), 'nothing changed\n');
  t.is(
    await succeeds(t, 'config', 'reset', database.url, path, '--scope', 'all'),
    `${path} = true\n${path} for table:app.orders = true\n`,
  );
  t.is(await succeeds(t, 'config', 'reset', database.url, 'features'), 'nothing changed\n');
  t.regex(await succeeds(t, 'config', 'apply', database.url, file), /auto_cleanup = false\n/);
  writeFileSync(file, 'features:\n  invalid_index_cleanup:\n    auto_cleenup: true\n');
  await cannot(
    t,
    /maint\.yaml:3:5: there is no setting .*\n +The nearest is .*auto_cleanup/,
    'config',
    'apply',
    database.url,
    file,
  );
  await cannot(t, /can't read/, 'config', 'apply', database.url, join(folder, 'none'));
  await cannot(t, /nearest is/, 'config', 'set', database.url, 'interval', '5');
  await cannot(
    t,
    /out of range.*22003/,
    'config',
    'set',
    database.url,
    'operational.maintenance_tasks.interval',
    '5',
  );
  await cannot(t, /can't read the value/, 'config', 'set', database.url, path, '[');
  await cannot(t, /there is no scope/, 'config', 'set', database.url, path, 'true', '--scope', 'x');
});

test('what can not be done ends with 2 and says what to do', async (t) => {
  const database = await createDatabase(t);
  await cannot(t, /not installed.*\n +pg-maint install/, 'status', database.url);
  await cannot(t, /not installed/, 'run', database.url);
  await cannot(t, /not installed/, 'config', 'show', database.url);
  await cannot(t, /can't connect.*\n/, 'status', 'postgresql://127.0.0.1:1/x');
  await cannot(t, /unknown command 'nonsense'/, 'nonsense');
  await cannot(t, /unknown option/, 'run', '--nonsense');
  await cannot(t, /not a database URL/, 'config', 'set', 'http://nonsense', 'a', 'b');
  await cannot(t, /too few or too many words/, 'config', 'set', 'a');
  await cannot(t, /choices/, 'install', database.url, '--engine', 'v9');
  await succeeds(t, 'install', database.url);
  await cannot(t, /there is no step 'nonsense'/, 'run', database.url, '--only', 'nonsense');
  await database.query('drop function maint.status() cascade');
  await cannot(t, /not complete in this database/, 'run', database.url);
});

test('help and version', async (t) => {
  t.regex(await succeeds(t, '--help'), /Exit codes: 0 .*; 1 .*; 2 /s);
  t.is(await succeeds(t, '--version'), `${readManifest().version}\n`);
  const without = await command();
  t.is(without.code, 2);
  t.regex(without.error, /Usage: pg-maint/);
});

test.serial('without a URL the environment says where', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const before = process.env['DATABASE_URL'];
  process.env['DATABASE_URL'] = database.url;
  t.teardown(() => {
    if (before === undefined) delete process.env['DATABASE_URL'];
    else process.env['DATABASE_URL'] = before;
  });
  t.regex(await succeeds(t, 'status'), /last run +none/);
  t.is(await succeeds(t, 'config', 'reset', 'features'), 'nothing changed\n');
});
