/** Names and patterns with wildcards, compared in at most pattern times name steps: a role that sets a pattern decides how many it has. */

/** One character of a name, any one of them (''), or any number of them (null). */
export type Wildcards = readonly (string | null)[];

/** A pattern in which * stands for any characters and ? for one. */
export function wildcardsOf(pattern: string): Wildcards {
  return Array.from(pattern, (letter) => (letter === '*' ? null : letter === '?' ? '' : letter));
}

/** What maint.setting_scope wrote as a regular expression, of which it uses this much. */
export function wildcardsOfExpression(expression: string): Wildcards {
  return Array.from(
    expression.slice(1, -1).matchAll(/\[\^\\0\](\*?)|\\?(.)/gsu),
    ([, run, letter]) => letter ?? (run === '*' ? null : ''),
  );
}

export function matchesWildcards(pattern: Wildcards, name: string): boolean {
  const letters = Array.from(name);
  let place = 0;
  // After the last run of any characters: where it began in the pattern, and how far it reaches in the name.
  let afterRun = -1;
  let runEnds = 0;
  for (let at = 0; at < letters.length;) {
    const wanted = pattern[place];
    if (wanted === null) {
      afterRun = place + 1;
      runEnds = at;
      place = afterRun;
    } else if (wanted !== undefined && (wanted === '' || wanted === letters[at])) {
      place += 1;
      at += 1;
    } else if (afterRun >= 0) {
      runEnds += 1;
      at = runEnds;
      place = afterRun;
    } else return false;
  }
  return pattern.slice(place).every((wanted) => wanted === null);
}
