import test from 'ava';
import { readAnnotations } from './corpus/labels.ts';
import { loadCorpus } from './corpus/fixtures.ts';
import { scoreRules } from './corpus/rules.ts';
import { isPerfect, precision, recall, scoreboard, scoreCorpus } from './corpus/score.ts';
import type { Score } from './corpus/score.ts';
import { steps } from '../src/steps/index.ts';

test('every finding on the corpus is right, and none is missing', async (t) => {
  t.timeout(300_000);
  const score = await scoreCorpus(t);
  t.deepEqual(score.mistakes, []);
  t.true(score.objects >= 300, `${score.objects} labelled objects`);
  for (const one of score.kinds.filter(({ truePositives, labelled }) => truePositives > 0 || labelled > 0)) {
    t.is(precision(one) ?? 1, 1, one.kind);
    t.is(recall(one) ?? 1, 1, one.kind);
  }
});

test('every kind that the steps know of is in the corpus, both ways', async (t) => {
  const labels = (await loadCorpus()).flatMap((fixture) => fixture.labels);
  const kinds = steps.flatMap((step) => step.kinds);
  t.true(kinds.length >= 25, `${kinds.length} kinds`);
  for (const kind of kinds) {
    t.true(
      labels.some((label) => label.kind === kind && label.type === 'must'),
      `${kind} is found somewhere`,
    );
    t.true(
      labels.some((label) => label.kind === kind && label.type === 'not'),
      `${kind} has a near-miss`,
    );
  }
  const known = new Set(kinds);
  t.deepEqual(
    labels.filter(({ kind }) => kind !== null && !known.has(kind)).map(({ kind }) => kind),
    [],
    'labels of kinds that no step declares',
  );
});

function scoreOf(
  truePositives: number,
  falsePositives: number,
  falseNegatives: number,
  mistakes: string[],
): Score {
  const kinds = [{ kind: 'index.unused', labelled: 9, truePositives, falsePositives, falseNegatives }];
  return { kinds, objects: 9, clean: 1, fixtures: 1, leftOut: [], mistakes };
}

test('the scoreboard tells what is wrong, and does not round a mistake away', (t) => {
  const shown = scoreboard(scoreOf(9999, 1, 0, ['a: index.unused for b is wrong']));
  t.regex(shown, /index\.unused +9 +9999 +1 +0 +0\.999 +1\.000/);
  t.regex(shown, /a: index\.unused for b is wrong/);
  t.false(isPerfect(scoreOf(9999, 1, 0, ['x'])));
  t.true(isPerfect(scoreOf(1, 0, 0, [])));
  t.is(precision(scoreOf(0, 0, 3, []).kinds[0]!), null);
  t.is(recall(scoreOf(0, 0, 3, []).kinds[0]!), 0);
});

test('labels are read as they stand, and nonsense is refused', (t) => {
  const { labels, configured, requires, runs } = readAnnotations(
    'x.sql',
    [
      '--! index.redundant app.a "App ""x"" y"."i.1" : twins',
      '  --! clean app.t.c',
      '--! not index.unused app.b',
      '--! config features.a.b 7 schema:app',
      '--! requires 18',
      '--! run',
      '-- no label',
    ].join('\n'),
  );
  t.deepEqual(
    labels.map(({ type, kind, object }) => [type, kind, object]),
    [
      ['must', 'index.redundant', 'app\na'],
      ['must', 'index.redundant', 'App "x" y\ni.1'],
      ['clean', null, 'app\nt\nc'],
      ['not', 'index.unused', 'app\nb'],
    ],
  );
  t.deepEqual(configured, [{ path: 'features.a.b', value: 7, scope: 'schema:app' }]);
  t.deepEqual([requires, runs], [18, [5]]);
  for (const wrong of [
    '--! clean',
    '--! redundant app.a',
    '--! clean a.b\n--! index.unused a.b',
    '--! clean a.b a.b',
    '--! clean "a',
  ])
    t.throws(() => readAnnotations('x.sql', wrong), undefined, wrong);
});

test('other rules are judged by the same labels', async (t) => {
  const scores = await scoreRules(t, (name) => name === 'redundant-btree');
  const ours = scores.filter(({ rule }) => rule.title === 'pg-maint' && rule.kind === 'index.redundant');
  t.deepEqual(
    ours.map(({ wrong, falseNegatives, truePositives }) => [wrong, falseNegatives, truePositives > 10]),
    [[[], 0, true]],
  );
  const asText = scores.find(({ rule }) => rule.title.startsWith('column numbers as text'));
  t.true(asText?.wrong.includes('redundant-btree: app.wide_1'), '1 is how 12 begins');
});
