/**
 * `npm run examples`: runs maintenance on the sample database and writes what each step answered, and one of its findings,
 * into its page. Figures that differ from run to run stand in the pages, so no test compares them. MAINT_TEST_URL names a
 * server that runs already.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { install } from '../src/worker/install.ts';
import { steps } from '../src/steps/index.ts';
import { startCluster } from './cluster.ts';
import { stemOf } from './docs.ts';
import { repository } from './paths.ts';
import { createSampleDatabase } from './sample/database.ts';

const opening = '<!-- example: npm run examples -->';
const closing = '<!-- end of example -->';

interface Example {
  step: number;
  status: string;
  result: string;
  finding: { summary: string; remedy: string | null } | null;
}

async function examplesOf(client: pg.Client): Promise<Example[]> {
  await client.query(
    `select maint.bypass('features.stale_operations', 'a release tonight', now() + interval '1 hour')`,
  );
  await client.query('select maint.run(force => true, "only" => $1)', [['bypass_status']]);
  await client.query(`select maint.unbypass('features.stale_operations')`);
  await client.query('select maint.run(force => true)');
  const { rows } = await client.query<Example>(`
    select distinct on (s.step) s.step, s.status, jsonb_pretty(s.result) as result, (
      select jsonb_build_object('summary', f.summary, 'remedy', f.remedy) from maint.findings as f
      where f.step = s.step order by f.finding_id limit 1) as finding
    from maint.steps as s
    order by s.step, case when s.step = 0 then s.run_id else -s.run_id end`);
  return rows;
}

/** More lines than this tell a reader less. */
const mostLines = 40;

function sectionOf({ status, result, finding }: Example): string {
  const all = result.split('\n');
  const shown = all.length > mostLines ? [...all.slice(0, mostLines), '    …'] : all;
  const found =
    finding === null
      ? []
      : [
          '',
          'One of its findings:',
          '',
          '```text',
          finding.summary,
          ...(finding.remedy === null ? [] : ['', finding.remedy]),
          '```',
        ];
  return [
    opening,
    '',
    '## Example',
    '',
    `On the sample database of \`npm start\` it ended with \`${status}\`, and this was its part of the result:`,
    '',
    '```json',
    ...shown,
    '```',
    ...found,
    '',
    closing,
  ].join('\n');
}

function writeInto(path: string, section: string): void {
  const file = join(repository, path);
  const text = readFileSync(file, 'utf8');
  const start = text.indexOf(opening);
  const end = text.indexOf(closing);
  const wanted =
    start === -1
      ? `${text.trimEnd()}\n\n${section}\n`
      : text.slice(0, start) + section + text.slice(end + closing.length);
  writeFileSync(file, wanted);
}

async function main(): Promise<void> {
  const named = process.env['MAINT_TEST_URL'] ?? '';
  const cluster = named === '' ? await startCluster({ ephemeral: true }) : null;
  try {
    const url = await createSampleDatabase(cluster?.url ?? named);
    await install(url, { createExtensions: true });
    const client = new pg.Client({ connectionString: url, application_name: 'pg-maint' });
    await client.connect();
    try {
      for (const example of await examplesOf(client)) {
        const step = steps.find(({ number }) => number === example.step);
        if (step !== undefined) writeInto(`docs/steps/${stemOf(step)}.md`, sectionOf(example));
      }
    } finally {
      await client.end();
    }
  } finally {
    await cluster?.stop('immediate');
  }
}

await main();
