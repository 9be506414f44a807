/** What a bench prints: plain lines and tables that fit into a Markdown code block. */

export function say(line = ''): void {
  process.stdout.write(`${line}\n`);
}

export const milliseconds = (value: number): string => `${value.toFixed(value < 100 ? 1 : 0)} ms`;
export const ratio = (value: number): string => value.toFixed(2);

/** The first column to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  for (const line of lines) {
    const cells = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    say(cells.join('  ').trimEnd());
  }
}

/** An aim and whether it was met in this run. */
export function aim(text: string, met: boolean): void {
  say(`${met ? 'met:    ' : 'NOT met:'} ${text}`);
}
