/**
 * Expressions as the server stores them (pg_node_tree as text). Two that are equal here are equal to the server;
 * deparsing them instead would wait for a lock on the table, and its text depends on the search path.
 */

/** Where in the statement something stood, and how a cast was written: the server's own comparison ignores both. */
const withoutMeaning =
  / :(?:location -?\d+|(?:funcformat|relabelformat|coerceformat|convertformat|coercionformat|row_format) \d+)/g;

export function withoutLocations(nodes: string): string {
  return nodes.replace(withoutMeaning, '');
}

/** The members of a stored list: `({…} {…})`. Braces inside of names are escaped by the server. */
export function splitNodes(list: string): string[] {
  const nodes: string[] = [];
  let depth = 0;
  let start = 0;
  for (let position = 0; position < list.length; position += 1) {
    const character = list[position];
    if (character === '\\') position += 1;
    else if (character === '{') {
      if (depth === 0) start = position;
      depth += 1;
    } else if (character === '}') {
      depth -= 1;
      if (depth === 0) nodes.push(list.slice(start, position + 1));
    }
  }
  return nodes;
}
