/** Planning runs code: statements of a table owner, as pg-maint finds them in the history, are traps for its rights. */
import test from 'ava';
import { command } from '../support/cli.ts';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';
import { parseTexts } from '../support/workload.ts';
import { arena } from './arena.ts';
import { ground, traps } from './traps.ts';

/** The plans of a training are stored together, after its record: then all statements of the attacker were looked at. */
const planned = `select from maint.query_plan join maint.query_text using (text_id) where text ~ 'evil'`;

test('no statement of a table owner is planned with the rights of pg-maint', async (t) => {
  const place = await arena(t);
  const { database } = place;
  await place.extensions('pg_stat_statements', 'hypopg');
  await place.install();
  await place.arm();
  await place.sql('evil', ground);
  await place.sql('evil', `alter role ${place.roles.evil} set search_path = evil, public`);
  for (const { name, set } of traps)
    await t.notThrowsAsync(place.sql('evil', set), `the trap can be set: ${name}`);
  const useAll = async (): Promise<void> => {
    for (const { name, before, use } of traps) {
      const client = await place.as('evil');
      if (before) await client.query(before);
      for (let call = 0; call < 3; call += 1) await t.notThrowsAsync(client.query(use), name);
      await client.end();
    }
  };
  await useAll();
  await database.query(`select maint.configure('features.pattern_learning.slow_ms', '0.001')`);
  startWorker(t, database);
  await place.run(['pattern_learning']);
  await parseTexts(database.url);
  await useAll();
  const run = await place.run();
  await waitForRow(database, planned, [], 60);
  t.is((await command('status', database.url)).code, 0);
  t.true((await command('findings', database.url)).code < 2);
  t.deepEqual(await place.loot(), []);
  t.deepEqual(await place.promoted(), []);
  t.true(['success', 'partial'].includes(run.status), JSON.stringify(run.steps));

  for (const { name, before, use, spring } of traps) {
    const control = await database.client();
    await control.query('set search_path = evil, public');
    if (before) await control.query(before);
    await control.query(spring ?? `explain ${use}`);
    t.true(
      (await place.loot()).some(({ trap, role }) => trap.startsWith(name) && role === 'postgres'),
      `control: the trap works: ${name}`,
    );
  }
  t.deepEqual(await place.promoted().then((all) => all.filter((what) => what.includes('superuser'))), [
    `${place.roles.evil} is superuser`,
  ]);
});
