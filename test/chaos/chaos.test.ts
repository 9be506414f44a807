/**
 * kill -9 of the worker, of the session that acts, and of the whole server, at random moments of a drop, a rebuild and a
 * build, under a write load. Here at a few moments each; `npm run test:chaos` takes fifty.
 * MAINT_TEST_SEED repeats the fractions of the actions' times at which they were struck.
 */
import test from 'ava';
import { ownCluster } from '../cluster/own-cluster.ts';
import { Random, seedOfRun } from '../property/random.ts';
import { Arena } from './arena.ts';
import type { Struck } from './arena.ts';
import { kinds } from './subject.ts';
import type { Victim } from './victims.ts';

const victims: readonly Victim[] = ['worker', 'backend', 'server'];
const moments = Number(process.env['MAINT_CHAOS_MOMENTS'] ?? '2');
const longest = 60_000 + moments * 60_000;

const seed = seedOfRun();
const random = new Random(seed);
const cleanUps: (() => Promise<void>)[] = [];
let arena: Arena;
/** What one moment left behind would be found by all that follow. */
let spoiled = false;

test.before(async (t) => {
  t.timeout(120_000);
  t.log(`MAINT_TEST_SEED=${seed}, ${moments} moments each`);
  const owner = { teardown: (cleanUp: () => Promise<void>) => void cleanUps.unshift(cleanUp) };
  const cluster = await ownCluster(owner, { autovacuum_naptime: '5s' });
  arena = await Arena.open(owner, cluster, random);
});

test.after.always(async () => {
  for (const cleanUp of cleanUps) await cleanUp();
});

/** How far the actions had come: "in the statement: 12, …". */
function counted(struck: readonly Struck[]): string {
  const counts = new Map<string, number>();
  for (const { found } of struck) counts.set(found, (counts.get(found) ?? 0) + 1);
  return [...counts].map(([found, count]) => `${found}: ${count}`).join(', ');
}

for (const victim of victims) {
  for (const kind of kinds) {
    test.serial(
      `kill -9 of the ${victim} during ${kind}: it is done once, and nothing is left or lost`,
      async (t) => {
        t.timeout(longest);
        if (spoiled) {
          t.fail('an earlier moment has left something behind');
          return;
        }
        spoiled = true;
        const struck: Struck[] = [];
        let late = 0;
        while (struck.length < moments && late < 20 + moments) {
          const one = await arena.strike(victim, kind, random.next());
          const where = `seed ${seed}, moment ${struck.length + 1}, ${one.found}`;
          t.deepEqual(one.problems, [], where);
          if (one.problems.length > 0) return;
          if (one.found === 'over') late += 1;
          else struck.push(one);
        }
        spoiled = false;
        t.is(struck.length, moments, `seed ${seed}: ${late} moments came after the action's end`);
        t.log(
          `${counted(struck)}; ${late} too late; ${arena.takeTransactions()} transactions committed meanwhile`,
        );
      },
    );
  }
}
