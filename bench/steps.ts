/** Steps 0 to 3 in the database against their queries by themselves: what the JavaScript host adds. */
import type { Bench } from './support/bench.ts';
import { growCatalog, indexesPerTable } from './support/catalog.ts';
import { createDatabase, requireSuccess, rolledBack, runMaintenance } from './support/database.ts';
import { aim, milliseconds, ratio, say, table } from './support/print.ts';
import { loadReplay, queriesOf, record, replayOverConnection, resetRunNumber } from './support/replay.ts';
import { processorTime } from './support/processor.ts';
import { inTurn, least } from './support/statistics.ts';

const indexes = 5000;
const rounds = 9;
const hostMayAdd = 0.1;

export const stepsAgainstQueries: Bench = {
  name: 'steps',
  title: `steps 0 to 3 on ${indexes} indexes, as a ratio to their queries run plainly`,
  async measure(server) {
    const database = await createDatabase(server, 'bench_steps');
    const client = await database.connect();
    await growCatalog(client, 0, indexes / indexesPerTable);
    // Else a slow moment of the machine would leave out indexes and the two sides would do different work.
    await client.query(`select maint.configure('features.integrity_check.btree_time_budget', '600000')`);

    const rows: string[][] = [];
    const added: [string, number][] = [];
    for (const amcheck of [true, false]) {
      const disabled = amcheck ? [] : ['btree_structure'];
      await client.query(`select maint.configure('features.integrity_check.disabled_checks', $1)`, [
        JSON.stringify(disabled),
      ]);
      const recording = await record(client, [0, 1, 2, 3]);
      await loadReplay(client, recording);
      const onReset = async (work: () => Promise<unknown>): Promise<number> => {
        await resetRunNumber(client, recording);
        return await rolledBack(client, () => processorTime(client, work));
      };
      const times = await inTurn(rounds, true, {
        run: () =>
          onReset(async () =>
            requireSuccess(await runMaintenance(client, `force => true, "only" => '{0,1,2,3}'`)),
          ),
        server: () => onReset(() => client.query('select pg_temp.replay()')),
        connection: () => onReset(() => replayOverConnection(client, recording)),
      });
      const run = least(times.run);
      const title = amcheck ? 'all checks' : 'without amcheck';
      for (const [how, plain] of [
        ['over a connection', least(times.connection)],
        ['by PL/pgSQL in the server', least(times.server)],
      ] as const) {
        rows.push([
          `${title}, ${how}`,
          String(queriesOf(recording).length),
          milliseconds(run),
          milliseconds(plain),
          ratio(run / plain),
        ]);
        added.push([
          `${title}: maint.run adds under ${hostMayAdd * 100} % to its queries ${how}`,
          run / plain - 1,
        ]);
      }
    }
    await database.drop();

    say(`processor time of the server process, the least of ${rounds} rounds`);
    table(['', 'queries', 'maint.run', 'plain queries', 'ratio'], rows);
    say();
    for (const [text, share] of added) aim(text, share < hostMayAdd);
  },
};
