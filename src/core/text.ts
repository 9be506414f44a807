/** Texts of users that are too long to be shown whole. */

/** What a reader takes for one character: an emoji or a letter with its marks is several code points. */
function characters(text: string): string[] {
  // A server's V8 may be built without the Unicode tables of Intl. Code points then, never half of one.
  if (typeof Intl === 'undefined' || typeof Intl.Segmenter === 'undefined') return Array.from(text);
  return [...new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(text)].map(
    ({ segment }) => segment,
  );
}

/**
 * The text, or its beginning and `end` where it has more than `most` characters; with `end` it has `most` then. It is never cut inside of
 * a character: half of one is no text that PostgreSQL takes.
 */
export function shortened(text: string, most: number, end = '...'): string {
  if (text.length <= most) return text;
  // Only as much as can be shown is looked at: a character has no more than this many code units in any sensible text.
  const unitsPerCharacter = 32;
  const looked = characters(text.slice(0, (most + 1) * unitsPerCharacter));
  if (looked.length <= most) return looked.join('') === text ? text : `${looked.slice(0, -1).join('')}${end}`;
  return `${looked.slice(0, most - end.length).join('')}${end}`;
}
