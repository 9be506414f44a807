import test from 'ava';
import { main } from '../../../src/worker/cli.ts';
import { csvField, toCsv } from '../../../src/worker/commands/export.ts';
import { createDatabase } from '../../support/database.ts';
import { makeTables, trainNow, writeHistory } from '../../support/query-risk.ts';

test('fields with commas, quotes and line breaks stand in quotes', (t) => {
  t.is(csvField('a,"b"\nc'), '"a,""b""\nc"');
  t.is(csvField(null), '');
  t.is(toCsv(['a', 'b'], [{ a: 1, b: 'x,y' }]), 'a,b\n1,"x,y"\n');
});

test('prints the samples of a training as CSV, and as JSON lines', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTables(database);
  await writeHistory(database, 24, ({ slow }) => (slow ? 300 : 1));
  await trainNow(database);
  await database.query(`update maint.query_plan set planned_at = planned_at - interval '2 days'`);
  const print = async (...words: string[]): Promise<string> => {
    let text = '';
    const output = {
      write: (part: string) => (text += part),
      writeError: (part: string) => (text += part),
      colour: false,
    };
    t.is(await main(['export', ...words], output), 0, text);
    return text;
  };
  const csv = (await print('training', database.url)).trimEnd().split('\n');
  t.regex(csv[0]!, /^text_id,group,measured_from,measured_to,held_out,calls,mean_ms,slow,cost,total_cost,/);
  const lines = (await print('training', database.url, '--format', 'jsonl')).trimEnd().split('\n');
  t.is(lines.length, csv.length - 1);
  t.true(lines.length > 100);
  const row = JSON.parse(lines[0]!) as Record<string, unknown>;
  t.is(Object.keys(row).length, csv[0]!.split(',').length);
  t.deepEqual(
    JSON.parse(await print('training', database.url, '--json')),
    lines.map((line) => JSON.parse(line) as unknown),
  );
  t.is(
    (await print('forecast', database.url)).trim(),
    'index_id,schema,table,index,measured_at,bloat_percent,rebuilt',
  );
});
