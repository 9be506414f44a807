/**
 * Random bodies against the bounds of maint_v8: each answers, fails, or has its session ended soon after it was asked to
 * end; memory stays bounded and the server never restarts. `npm run fuzz:bridge` goes on for longer; MAINT_TEST_SEED repeats.
 */
import test from 'ava';
import { Random, seedOfRun } from '../property/random.ts';
import { createDatabase } from '../support/database.ts';
import { BoundedSessions, problemOf } from './bounded.ts';
import type { Ending } from './bounded.ts';
import { generatedBody } from './generated-body.ts';

const endings: readonly Ending[] = ['statement_timeout', 'pg_cancel_backend', 'pg_terminate_backend'];

const milliseconds = Number(process.env['MAINT_FUZZ_SECONDS'] ?? '15') * 1000;
const most = Number(process.env['MAINT_FUZZ_BODIES'] ?? 'Infinity');

test('whatever a random body calls, it ends in time, within its memory, and alone', async (t) => {
  t.timeout(milliseconds + 300_000);
  const seed = seedOfRun();
  const random = new Random(seed);
  t.log(`MAINT_TEST_SEED=${seed}`);
  const sessions = await BoundedSessions.open(await createDatabase(t));
  const counts: Record<string, number> = {};
  const until = performance.now() + milliseconds;
  for (let bodies = 0; bodies < most && performance.now() < until; bodies += 1) {
    const body = generatedBody(random);
    const ending = random.pick(endings);
    const outcome = await sessions.run(body, ending);
    counts[outcome.kind] = (counts[outcome.kind] ?? 0) + 1;
    const problem = problemOf(outcome, ending);
    if (problem !== null) t.fail(`seed ${seed}, body ${bodies}, ${ending}: ${problem}\n${body}`);
    await sessions.requireServer();
  }
  t.log(JSON.stringify(counts));
  t.true((counts['answered'] ?? 0) > 0, JSON.stringify(counts));
});
