/** What a call of maint.run costs when there is little or nothing to do: in a new session, and in a warm one. */
import { createDatabase, requireSuccess, rolledBack, runMaintenance } from './support/database.ts';
import type { RunResult } from './support/database.ts';
import type { Bench } from './support/bench.ts';
import { aim, milliseconds, ratio, say, table } from './support/print.ts';
import { median, p90, timed } from './support/statistics.ts';

const newSessions = 25;
const warmCalls = 100;
const firstCallAim = 100;

interface Way {
  title: string;
  args: string;
  /** Throws where the call did not do what this line of the table says. */
  check(result: RunResult): void;
}

const ways: readonly Way[] = [
  {
    title: 'nothing due',
    args: '',
    check({ status, reason }) {
      if (status !== 'skipped' || reason !== 'not_due') throw new Error(`${status}, ${reason ?? ''}`);
    },
  },
  // The engine starts only where there is a step to run; this one asks a single query.
  { title: 'step 0 alone', args: `force => true, "only" => '{0}'`, check: requireSuccess },
  { title: 'steps 0 to 3', args: `force => true, "only" => '{0,1,2,3}'`, check: requireSuccess },
];

export const call: Bench = {
  name: 'call',
  title: 'one call of maint.run in a database without tables',
  async measure(server) {
    const database = await createDatabase(server, 'bench_call');
    const warm = await database.connect();
    requireSuccess(await runMaintenance(warm));
    const trip: number[] = [];
    for (let i = 0; i < warmCalls; i += 1) trip.push(await timed(() => warm.query('select 1')));

    const rows: [title: string, times: number[]][] = [['select 1', trip]];
    const connecting: number[] = [];
    for (const { title, args, check } of ways) {
      const times: number[] = [];
      for (let i = 0; i < newSessions; i += 1) {
        let client = warm;
        connecting.push(await timed(async () => (client = await database.connect())));
        await client.query('begin');
        times.push(
          await timed(async () => {
            check(await runMaintenance(client, args));
          }),
        );
        await client.end();
      }
      rows.push([`first call in a session, ${title}`, times]);
    }
    for (const { title, args, check } of ways) {
      const times: number[] = [];
      for (let i = 0; i < warmCalls; i += 1) {
        await rolledBack(warm, async () => {
          times.push(
            await timed(async () => {
              check(await runMaintenance(warm, args));
            }),
          );
        });
      }
      rows.push([`warm call, ${title}`, times]);
    }
    rows.splice(1, 0, ['opening a session', connecting]);
    await database.drop();

    table(
      ['', 'median', '90 % below', '× opening a session'],
      rows.map(([title, times]) => [
        title,
        milliseconds(median(times)),
        milliseconds(p90(times)),
        ratio(median(times) / median(connecting)),
      ]),
    );
    say();
    for (const [title, times] of rows) {
      if (/^first call.*(nothing due|step 0)/.test(title)) {
        aim(`${title}: under ${firstCallAim} ms`, median(times) < firstCallAim);
      }
    }
  },
};
