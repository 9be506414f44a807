/** One line of a terminal that is written anew as things go on; nothing where there is no terminal. */
import { printable } from './printable.ts';

const clearLine = '\r\u001b[K';

export class LiveLine {
  readonly #write: ((text: string) => void) | null;
  readonly #width: number;
  #shown = '';

  /** `width` in columns: a longer text is cut, since a line that wraps could not be cleared. */
  constructor(write: ((text: string) => void) | null, width: number = process.stderr.columns || 80) {
    this.#write = write;
    this.#width = width;
  }

  /** Whether anybody sees it. */
  get visible(): boolean {
    return this.#write !== null;
  }

  show(text: string): void {
    const line = Array.from(printable(text))
      .slice(0, this.#width - 1)
      .join('');
    if (this.#write === null || line === this.#shown) return;
    this.#write(`${clearLine}${line}`);
    this.#shown = line;
  }

  /** On the messages of a command, where they go to a terminal. */
  static of(output: { live?: boolean; writeError(text: string): void }): LiveLine {
    return new LiveLine(
      output.live === true
        ? (text) => {
            output.writeError(text);
          }
        : null,
    );
  }

  clear(): void {
    if (this.#shown !== '') this.#write?.(clearLine);
    this.#shown = '';
  }
}
