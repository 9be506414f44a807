/**
 * `npm run judge -- SCHEMA.sql …`: loads schema dumps, fills each, runs pg-maint and lets the server judge its findings of
 * redundant, unused and missing indexes and of mismatched types. Ends with 1 when any was false. MAINT_TEST_URL names a
 * server that runs already; `--rows 500` is the size of a table, MAINT_TEST_SEED repeats a run. The dump is run by psql as a
 * superuser of a throw-away server: a file that nobody has read does not belong there.
 */
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { say, table } from '../bench/support/print.ts';
import { startCluster } from './cluster.ts';
import { findPostgres } from './postgres.ts';

/** What psql said was wrong, one line each: a dump may want roles and extensions that this server lacks. */
async function load(url: string, file: string): Promise<string[]> {
  const postgres = await findPostgres({ headers: false });
  const psql = postgres === null ? 'psql' : `${postgres.binDirectory}/psql`;
  const { status, stderr, error } = spawnSync(psql, ['-X', '-q', '-o', '/dev/null', '-f', file, url], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error) throw error;
  const problems = stderr.split('\n').filter((line) => /ERROR|FATAL/.test(line));
  if (status !== 0 && problems.length === 0) throw new Error(`psql ended with ${String(status)}: ${stderr}`);
  return problems;
}

async function main(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...words],
    options: { rows: { type: 'string', default: '1000' }, used: { type: 'string', default: '0.6' } },
    allowPositionals: true,
  });
  const rows = Number(values.rows);
  const used = Number(values.used);
  if (positionals.length === 0 || !Number.isSafeInteger(rows) || rows < 1 || !(used >= 0 && used <= 1)) {
    process.stderr.write('npm run judge -- [--rows NUMBER] [--used SHARE] SCHEMA.sql …\n');
    return 2;
  }
  const named = process.env['MAINT_TEST_URL'] ?? '';
  const cluster = named === '' ? await startCluster({ ephemeral: true }) : null;
  if (cluster) process.env['MAINT_TEST_URL'] = cluster.url;
  const { urlOf, testUrl } = await import('../test/support/database.ts');
  const { Random, seedOfRun } = await import('../test/property/random.ts');
  const { fill } = await import('../test/judge/fill.ts');
  const { isPerfect, judge } = await import('../test/judge/judge.ts');
  const { install } = await import('../src/worker/install.ts');
  const seed = seedOfRun();
  let perfect = true;
  const administrator = new pg.Client({ connectionString: testUrl() });
  await administrator.connect();
  try {
    for (const [place, file] of positionals.entries()) {
      const name = `judge_${process.pid}_${place}`;
      await administrator.query(`create database ${name}`);
      const client = new pg.Client({ connectionString: urlOf(name) });
      try {
        const problems = await load(urlOf(name), file);
        await client.connect();
        await client.query('set client_min_messages = error');
        const filled = await fill(client, rows);
        await install(urlOf(name));
        const result = await judge(client, new Random(seed), used);
        perfect &&= isPerfect(result);
        say(
          `\n${basename(file)} (MAINT_TEST_SEED=${seed}): ${filled.tables} tables, ${result.foreignKeys} foreign keys, ${result.searches} searches, ${result.uniques} unique indexes`,
        );
        say(
          `not loaded: ${problems.length} statements; tables left empty: ${filled.empty.length}; check constraints dropped to fill: ${filled.dropped.length}`,
        );
        for (const one of [...problems, ...filled.empty].slice(0, process.env['VERBOSE'] ? 1000 : 3))
          say(`  ${one}`);
        table(
          ['kind', 'found', 'with remedy', 'false', 'precision'],
          result.kinds.map(({ kind, found, remedies, wrong }) => [
            kind,
            String(found),
            String(remedies),
            String(wrong.length),
            found === 0 ? '-' : (1 - wrong.length / found).toFixed(3),
          ]),
        );
        for (const { kind, wrong } of result.kinds) for (const one of wrong) say(`false: ${kind} ${one}`);
        for (const one of result.missed) say(`missed: fk.unindexed ${one}`);
        for (const one of result.together) say(`together: ${one}`);
      } finally {
        await client.end();
        await administrator.query(`drop database if exists ${name} with (force)`);
      }
    }
  } finally {
    await administrator.end();
    await cluster?.stop('immediate');
  }
  return perfect ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
