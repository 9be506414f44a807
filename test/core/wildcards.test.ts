import test from 'ava';
import { matchesWildcards, wildcardsOf, wildcardsOfExpression } from '../../src/core/wildcards.ts';

test('* is any characters, ? is one, and all else is itself', (t) => {
  const cases: [pattern: string, matching: string[], others: string[]][] = [
    ['*', ['', 'a', '🐘\n'], []],
    ['?', ['a', '🐘', '\n'], ['', 'ab']],
    ['a*b', ['ab', 'axb', 'abab'], ['a', 'aba', 'xab']],
    ['*x*', ['x', 'axa'], ['a']],
    ['a?*c', ['abc', 'abbc'], ['ac', 'abcd']],
    ['.[\\', ['.[\\'], ['a']],
  ];
  for (const [pattern, matching, others] of cases) {
    for (const name of matching) t.true(matchesWildcards(wildcardsOf(pattern), name), `${pattern} ${name}`);
    for (const name of others) t.false(matchesWildcards(wildcardsOf(pattern), name), `${pattern} ${name}`);
  }
});

test('an expression of maint.setting_scope means the same', (t) => {
  const expression = '^a[^\\0]*\\.[^\\0]\\*🐘$';
  t.deepEqual(wildcardsOfExpression(expression), ['a', null, '.', '', '*', '🐘']);
});

test('a pattern with many wildcards takes no longer than its length times that of the name', (t) => {
  // With an expression that tries again for each of them, this would not end before the test does.
  t.false(matchesWildcards(wildcardsOf(`${'*a'.repeat(500)}b`), 'a'.repeat(2000)));
  t.true(matchesWildcards(wildcardsOf(`${'*a'.repeat(500)}*`), 'a'.repeat(2000)));
});
