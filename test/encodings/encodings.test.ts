/** Databases that are not UTF-8: pg-maint installs, all steps run, and names are what they are, on both runtimes. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { languageSql } from '../../build/bridge.ts';
import { repository } from '../../build/paths.ts';
import { install } from '../../src/worker/install.ts';
import { command } from '../support/cli.ts';
import { createDatabase, urlOf } from '../support/database.ts';
import type { RunResult } from '../support/maintenance.ts';
import { withConnection } from '../../src/worker/connection.ts';
import { runOverConnection } from '../../src/worker/host.ts';

/** A name in each encoding, with characters that take one byte, or several, or are in no other of them. */
const encodings: [encoding: string, name: string][] = [
  ['LATIN1', 'Käse_é'],
  ['EUC_JP', '索引_テスト'],
  ['SQL_ASCII', 'naïve_索'],
];

async function databaseIn(
  t: ExecutionContext,
  encoding: string,
): Promise<{ url: string; client: pg.Client }> {
  const administrator = await (await createDatabase(t)).client();
  const name = `enc_${encoding.toLowerCase()}_${String(process.pid)}_${String(Math.random()).slice(2, 10)}`;
  await administrator.query(
    `create database ${name} template template0 encoding '${encoding}' lc_collate 'C' lc_ctype 'C'`,
  );
  const { rows } = await administrator.query<{ probin: string | null }>(
    `select probin from pg_catalog.pg_proc where proname = 'maint_v8_call_handler'`,
  );
  const client = new pg.Client({ connectionString: urlOf(name) });
  t.teardown(async () => {
    await client.end().catch(() => undefined);
    const last = new pg.Client({ connectionString: urlOf('postgres') });
    await last.connect();
    await last.query(`drop database if exists ${name} with (force)`);
    await last.end();
  });
  await client.connect();
  const module = rows[0]?.probin;
  if (module != null) await client.query(languageSql(module));
  return { url: urlOf(name), client };
}

async function runAsWorker(url: string): Promise<RunResult> {
  return await withConnection(
    url,
    async (client) => (await runOverConnection(client, { force: true })) as unknown as RunResult,
  );
}

/** A sequence at its end, an index twice, a foreign key without one, and one view. */
const objects = (name: string): string => {
  const [table, child, sequence, first, second, view] = ['t', 'c', 's', 'i', 'j', 'v'].map((part) =>
    pg.escapeIdentifier(`${name}_${part}`),
  );
  return `
    create table ${table} (id int8 primary key, "${name}" text);
    insert into ${table} select g, 'x' from generate_series(1, 100) as g;
    create index ${first} on ${table} ("${name}");
    create index ${second} on ${table} ("${name}");
    create table ${child} (id int8 references ${table});
    insert into ${child} select 1 from generate_series(1, 2000);
    create materialized view ${view} as select * from ${table};
    create sequence ${sequence} maxvalue 9223372036854775807;
    select pg_catalog.setval('${sequence}', 9223372036854775800);
    create sequence "${name}_huge" minvalue -9223372036854775808 start -9223372036854775808;
    analyze ${table}, ${child}`;
};

for (const [encoding, name] of encodings) {
  for (const engine of ['maint_v8', 'worker'] as const) {
    test(`${encoding}, ${engine}: install, all steps, names, config, report, query_risk`, async (t) => {
      t.timeout(240_000);
      const { url, client } = await databaseIn(t, encoding);
      const { rows: languages } = await client.query(`select from pg_language where lanname = 'maint_v8'`);
      if (engine === 'maint_v8' && languages.length === 0) {
        t.pass('this server has no such language');
        return;
      }
      await install(url, { engine });
      await client.query(objects(name));
      const result =
        engine === 'worker'
          ? await runAsWorker(url)
          : (await client.query<{ run: RunResult }>('select maint.run(true) as run')).rows[0]?.run;
      const failed = Object.entries(result?.steps ?? {}).filter(([, { status }]) => status === 'failed');
      t.deepEqual(failed, []);
      t.is(Object.keys(result?.steps ?? {}).length, 18);
      const { rows } = await client.query<{
        kind: string;
        object_name: string;
        detail: { values_left?: string };
      }>(
        `select kind, object_name, detail from maint.findings
         where kind in ('index.redundant', 'fk.unindexed', 'integrity.sequence_near_end') order by kind, object_name`,
      );
      t.deepEqual(
        rows.map(({ kind }) => kind),
        ['fk.unindexed', 'index.redundant', 'integrity.sequence_near_end'],
      );
      for (const { object_name } of rows) t.true(object_name.startsWith(name), object_name);
      t.is(rows[2]?.detail.values_left, '7');
      const risk = await client.query<{ risk: { decision: string } }>('select maint.query_risk($1) as risk', [
        `select * from "${name}_t" where "${name}" = '${name}'`,
      ]);
      t.is(risk.rows[0]?.risk.decision, 'allow');
      t.is((await command('config', 'show', url)).code, 0);
      t.is(
        (
          await command(
            'report',
            url,
            '--output',
            join('/tmp', `report_${String(process.pid)}_${encoding}_${engine}.html`),
          )
        ).code,
        0,
      );
    });
  }
}

for (const engine of ['maint_v8', 'worker'] as const) {
  test(`SQL_ASCII, ${engine}: names whose bytes are no UTF-8 stop no step; what can't be named back is unexamined`, async (t) => {
    t.timeout(240_000);
    const { url, client } = await databaseIn(t, 'SQL_ASCII');
    await install(url, { engine });
    await client.query(
      `do $$ begin
         execute pg_catalog.format('create table %I (id int8 primary key, a text)', pg_catalog.convert_from('\\xe4ff', 'SQL_ASCII'));
         execute pg_catalog.format('create sequence %I', pg_catalog.convert_from('\\x73e4ff', 'SQL_ASCII'));
       end $$;
       create sequence plain_sequence;
       create table plain (id int8); create index one on plain (id); create index two on plain (id)`,
    );
    const result =
      engine === 'worker'
        ? await runAsWorker(url)
        : (await client.query<{ run: RunResult }>('select maint.run(true) as run')).rows[0]?.run;
    t.deepEqual(
      Object.entries(result?.steps ?? {}).filter(([, { status }]) => status === 'failed'),
      [],
    );
    const sequences = result?.integrity_check.checks['sequence_near_end'];
    t.is(sequences?.status, 'unknown', JSON.stringify(sequences));
    t.regex(sequences?.detail ?? '', /s\ufffd\ufffd/);
    const found = await client.query(`select from maint.findings where kind = 'index.redundant'`);
    t.is(found.rowCount, 1);
    const shown = await command('findings', url);
    t.is(shown.error, '');
  });
}

test('all SQL that is sent is ASCII: an encoding without a character of ours would refuse it', (t) => {
  const sql = join(repository, 'sql');
  const files = readdirSync(sql, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.sql'),
  );
  t.true(files.length > 100);
  for (const file of files) {
    const other = /[^\t\n -~]/u.exec(readFileSync(join(sql, file), 'utf8'));
    t.is(other, null, file);
  }
  const manifest = readFileSync(join(repository, 'build/out/sql/manifest.json'), 'utf8');
  t.is(/[^\t\n -~]/u.exec(manifest), null);
  for (const folder of ['src/steps', 'src/catalog', 'src/core', 'src/plv8']) {
    const texts = readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' });
    for (const file of texts.filter((each) => each.endsWith('.ts'))) {
      // What steps say goes into the database. Comments may have any character.
      const code = readFileSync(join(repository, folder, file), 'utf8').replaceAll(
        /\/\*[^]*?\*\/|^\s*\/\/.*$/gm,
        '',
      );
      t.is(/[^\t\n -~]/u.exec(code), null, join(folder, file));
    }
  }
});
