import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { outDirectory } from '../../build/paths.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { waitForRow } from '../support/maintenance.ts';

/** More than one round of every chore but those that come by the hour, or by five minutes. */
const watchSeconds = 65;

interface Counted {
  statements: number;
  /** By the server's clock. */
  seconds: number;
}

/** Statements at the top level in this database until now, by whomever. */
async function counted(database: TestDatabase): Promise<Counted> {
  const [row] = await database.query<Counted & Record<string, unknown>>(
    `select coalesce(sum(s.calls), 0)::int as statements,
       extract(epoch from clock_timestamp())::float8 as seconds
     from pg_stat_statements as s
     where s.toplevel and s.dbid = (select oid from pg_database where datname = current_database())`,
  );
  return row!;
}

test('an idle worker costs under one statement a second and under 120 MB, also after it has parsed texts', async (t) => {
  t.timeout(240_000);
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create extension pg_stat_statements');
  await database.query('create table t (a int)');
  await database.query('select a from t where a = 1');
  const worker = spawn(
    process.execPath,
    [join(outDirectory, 'worker/pg-maint.js'), 'worker', '--database', database.url],
    { stdio: 'ignore' },
  );
  t.teardown(() => worker.kill('SIGKILL'));
  // Its first run, the history that it brings, and the models and forecasts that are made from that.
  await waitForRow(database, `select from maint.run_log where status in ('success', 'partial')`);
  await waitForRow(database, `select from maint.query_text where fingerprint is not null`);
  await waitForRow(
    database,
    `select where not exists (select from maint.action where status in ('queued', 'running'))
       and not exists (select from maint_boss.job where state <= 'active')
       and not exists (select from maint.chore where finished_at is null)`,
  );
  const before = await counted(database);
  await sleep(watchSeconds * 1000);
  const after = await counted(database);
  const statements = after.statements - before.statements;
  const perSecond = statements / (after.seconds - before.seconds);
  t.log(`${perSecond.toFixed(2)} statements a second`);
  t.true(statements > 3, 'its heartbeat at least is counted');
  t.true(perSecond < 1, `${perSecond} statements a second`);
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${String(worker.pid)}/status`, 'utf8'));
  const megabytes = Number(resident?.[1]) / 1024;
  t.log(`${megabytes.toFixed(0)} MB`);
  t.true(megabytes < 120, `${megabytes} MB`);
});
