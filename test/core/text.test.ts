import test from 'ava';
import { shortened } from '../../src/core/text.ts';

const family = '👨‍👩‍👧‍👦';

test('a text is cut between characters, whatever they are made of', (t) => {
  t.is(shortened('abc', 3), 'abc');
  t.is(shortened('abcdef', 5), 'ab...');
  t.is(shortened('😀'.repeat(5), 5), '😀'.repeat(5));
  t.is(shortened('😀'.repeat(6), 5), '😀😀...');
  t.is(shortened(family.repeat(6), 5), `${family}${family}...`);
  t.is(shortened('é'.repeat(6), 5), 'éé...');
  t.is(shortened('abcdef', 4, ''), 'abcd');
});

test('no cut leaves half of a surrogate pair, at whatever length', (t) => {
  const text = `x${'😀'.repeat(30)}`;
  for (let most = 4; most < 62; most += 1) t.notThrows(() => encodeURIComponent(shortened(text, most)));
});

test('a character that never ends is cut as well', (t) => {
  const zalgo = `a${'\u0301'.repeat(5000)}`;
  t.true(shortened(zalgo, 10).length < 500);
});
