/** What an installation does outside of its own schemas, so that it can be read before and after. */
import type pg from 'pg';

export class Journal {
  readonly #client: pg.ClientBase;
  readonly lines: string[] = [];

  constructor(client: pg.ClientBase) {
    this.#client = client;
  }

  /** Runs a statement and remembers it. */
  async perform(statement: string): Promise<void> {
    await this.#client.query(statement);
    this.lines.push(`${statement};`);
  }

  /** For what would be too long to read, as one line. */
  note(what: string): void {
    this.lines.push(`-- ${what}`);
  }
}
