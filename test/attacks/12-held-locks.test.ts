/** Advisory locks with the numbers of ours, held by any role that may connect. */
import test from 'ava';
import { command } from '../support/cli.ts';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';
import { arena } from './arena.ts';
import { hold, honestDrop, honestTable } from './held-up.ts';

test('advisory locks of ours that another role holds stop no run and no worker without a word', async (t) => {
  t.timeout(150_000);
  const place = await arena(t);
  const { database, roles } = place;
  await place.install();
  await honestTable(place);
  const holder = await hold(
    place,
    'select pg_advisory_lock(1835100526, k) from generate_series(0, 20) as k',
    'select pg_advisory_lock(1886217317)',
  );
  const worker = startWorker(t, database, { stopSeconds: 1 });
  const [row] = await database.query<{ result: { status: string; reason?: string; detail?: string } }>(
    'select maint.run(true) as result',
  );
  const answer = row!.result;
  // It runs, is queued, or says who holds it up: not a bare "running".
  if (answer.status === 'skipped') t.regex(JSON.stringify(answer), new RegExp(roles.evil));
  const install = await command('install', database.url);
  if (install.code !== 0) t.regex(install.error, new RegExp(roles.evil));
  await waitForRow(database, `select from maint.worker`, [], 30).catch(() => {
    t.regex(worker.log.join('\n'), new RegExp(roles.evil), 'the log names the holder');
  });
  await holder.end();
  await honestDrop(place);
  await worker.stop();
  t.pass();
});
