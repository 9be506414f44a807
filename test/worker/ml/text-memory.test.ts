import test from 'ava';
import { TextMemory } from '../../../src/catalog/query-risk/text-memory.ts';

test('it remembers up to so many characters, then begins anew; a text that is too long is not kept', (t) => {
  const memory = new TextMemory<number>(100_000);
  const texts = Array.from({ length: 334 }, (_, index) => String(index).padStart(100, 'x'));
  for (const [index, text] of texts.slice(0, 333).entries()) memory.set(text, index);
  t.deepEqual([memory.get(texts[0]!), memory.get(texts[332]!)], [0, 332]);
  memory.set(texts[0]!, 7);
  t.is(memory.get(texts[0]!), 7, 'the same text again takes no more');
  t.is(memory.get(texts[332]!), 332);
  memory.set(texts[333]!, 333);
  t.deepEqual([memory.get(texts[0]!), memory.get(texts[333]!)], [undefined, 333]);
  memory.set('y'.repeat(801), 1);
  t.is(memory.get('y'.repeat(801)), undefined);
  t.is(memory.get(texts[333]!), 333);
});
