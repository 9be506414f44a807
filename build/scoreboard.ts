/**
 * `npm run scoreboard`: runs the checks on the labelled corpus and prints how often each kind of finding was right.
 * Ends with 1 when anything was wrong or missed. MAINT_TEST_URL names a server that runs already; arguments keep to
 * fixtures whose name contains one of them.
 */
import { startCluster } from './cluster.ts';

async function main(words: readonly string[]): Promise<number> {
  const named = process.env['MAINT_TEST_URL'] ?? '';
  const cluster = named === '' ? await startCluster({ ephemeral: true }) : null;
  if (cluster) process.env['MAINT_TEST_URL'] = cluster.url;
  // Read the server's address when they are loaded or called: not before it is known.
  const { isPerfect, scoreboard, scoreCorpus } = await import('../test/corpus/score.ts');
  const cleanUps: (() => unknown)[] = [];
  try {
    const score = await scoreCorpus(
      { teardown: (cleanUp) => void cleanUps.unshift(cleanUp) },
      (name) => words.length === 0 || words.some((word) => name.includes(word)),
    );
    process.stdout.write(`${scoreboard(score)}\n`);
    return isPerfect(score) ? 0 : 1;
  } finally {
    for (const cleanUp of cleanUps) await cleanUp();
    await cluster?.stop('immediate');
  }
}

process.exitCode = await main(process.argv.slice(2));
