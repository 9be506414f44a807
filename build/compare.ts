/**
 * `npm run compare`: rules by which needless, unused and missing indexes are usually found, on the labelled corpus beside
 * pg-maint. MAINT_TEST_URL names a server that runs already; arguments keep to fixtures whose name contains one of them;
 * `--wrong` also names what each rule takes for one and is none.
 */
import { say, table } from '../bench/support/print.ts';
import { startCluster } from './cluster.ts';

async function main(words: readonly string[]): Promise<number> {
  const names = words.filter((word) => word !== '--wrong');
  const named = process.env['MAINT_TEST_URL'] ?? '';
  const cluster = named === '' ? await startCluster({ ephemeral: true }) : null;
  if (cluster) process.env['MAINT_TEST_URL'] = cluster.url;
  // Read the server's address when they are loaded or called: not before it is known.
  const { scoreRules } = await import('../test/corpus/rules.ts');
  const { precision, recall, share } = await import('../test/corpus/score.ts');
  const cleanUps: (() => unknown)[] = [];
  try {
    const scores = await scoreRules(
      { teardown: (cleanUp) => void cleanUps.unshift(cleanUp) },
      (name) => names.length === 0 || names.some((word) => name.includes(word)),
    );
    for (const kind of new Set(scores.map((score) => score.kind))) {
      say(`\n${kind}, ${scores.find((score) => score.kind === kind)?.labelled ?? 0} to be found`);
      table(
        ['rule', 'right', 'wrong', 'missed', 'precision', 'recall'],
        scores
          .filter((score) => score.kind === kind)
          .map((score) => [
            score.rule.title,
            String(score.truePositives),
            String(score.falsePositives),
            String(score.falseNegatives),
            share(precision(score)),
            share(recall(score)),
          ]),
      );
    }
    if (words.includes('--wrong'))
      for (const { rule, wrong } of scores)
        if (wrong.length > 0) say(`\nwrong by "${rule.title}":\n  ${wrong.join('\n  ')}`);
    return 0;
  } finally {
    for (const cleanUp of cleanUps) await cleanUp();
    await cluster?.stop('immediate');
  }
}

process.exitCode = await main(process.argv.slice(2));
