/** kill -9 of the session that installs, or of the command, at random moments: all of it or nothing, and again it works. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { repository } from '../../build/paths.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { command } from '../support/cli.ts';
import { Random, seedOfRun } from '../property/random.ts';

const moments = Number(process.env['MAINT_FAULT_MOMENTS'] ?? '3');
/** Longer than an installation takes here, so that some moments come after its end. */
const longestMs = 2500;

async function schemas(database: TestDatabase): Promise<string[]> {
  const rows = await database.query(
    `select nspname::text as name from pg_namespace where nspname like 'maint%' order by 1`,
  );
  return rows.map(({ name }) => name as string);
}

/** Runs the command and ends it, or its session, after so long; resolves when nothing of it is left. */
async function cut(
  database: TestDatabase,
  word: string,
  afterMs: number,
  victim: 'command' | 'session',
): Promise<void> {
  const child = spawn(process.execPath, [join(repository, 'src/worker/cli.ts'), word, database.url], {
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  await Promise.race([ended, sleep(afterMs)]);
  const others = `from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`;
  if (victim === 'command') child.kill('SIGKILL');
  else await database.query(`select pg_terminate_backend(pid) ${others} and application_name <> 'test'`);
  await ended;
  const deadline = performance.now() + 20_000;
  while ((await database.query(`select ${others}`)).length > 0) {
    if (performance.now() > deadline) throw new Error('a session goes on');
    await sleep(50);
  }
}

for (const victim of ['command', 'session'] as const) {
  test.serial(
    `kill of the ${victim} in install, upgrade and uninstall: all or nothing, and again it works`,
    async (t) => {
      t.timeout(60_000 + moments * 30_000);
      const seed = seedOfRun();
      t.log(`MAINT_TEST_SEED=${seed}`);
      const random = new Random(seed);
      const database = await createDatabase(t);
      const none: string[] = [];
      const all = ['maint', 'maint_boss', 'maint_privileged'];
      for (let moment = 0; moment < moments; moment += 1) {
        await cut(database, 'install', random.next() * longestMs, victim);
        const found = await schemas(database);
        t.true(found.length === 0 || found.length === all.length, found.join());
        const installed = await command('install', database.url);
        t.is(installed.code, 0, installed.error);
        t.deepEqual(await schemas(database), all);
        // As if it were an older one.
        await database.query(`update maint.installation set version = '0.0.1', bundle_sha256 = 'old'`);
        await cut(database, 'install', random.next() * longestMs, victim);
        const again = await command('install', database.url);
        t.is(again.code, 0, again.error);
        await cut(database, 'uninstall', random.next() * longestMs, victim);
        const left = await schemas(database);
        t.true(left.length === 0 || left.length === all.length, left.join());
        const gone = await command('uninstall', database.url);
        t.is(gone.code, 0, gone.error);
        t.deepEqual(await schemas(database), none);
      }
    },
  );
}
