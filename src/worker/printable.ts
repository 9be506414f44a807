/** Names in a database may hold anything. What a terminal would obey must not reach it as it is. */

/** C0, DEL, C1, line and paragraph separators, and what turns the direction of writing. */
const unsafe = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

const short: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function fourDigits(character: string): string {
  return character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
}

/** Text for one line: every control character as an escape that can be read. */
export function printable(text: string): string {
  return text.replace(unsafe, (character) => short[character] ?? `\\u${fourDigits(character)}`);
}

/**
 * A statement that means the same and can be pasted into psql: control characters inside quotes become escapes of
 * U&"…", U&'…' or E'…'; outside of quotes a line break stays.
 */
export function printableSql(sql: string): string {
  const tokens = sql.match(/"(?:[^"]|"")*"|[eE]?'(?:[^']|'')*'|[^"'eE]+|[\s\S]/gu) ?? [];
  return tokens
    .map((token) => {
      if (token.search(unsafe) === -1) return token;
      if (/^[eE]'/.test(token)) return token.replace(unsafe, (character) => `\\u${fourDigits(character)}`);
      if (/^["'].+["']$/su.test(token)) {
        const body = token
          .replaceAll('\\', '\\\\')
          .replace(unsafe, (character) => `\\${fourDigits(character)}`);
        return `U&${body}`;
      }
      return token.replace(unsafe, (character) => (character === '\n' ? character : printable(character)));
    })
    .join('');
}
