/** One connection that several use in turn. */
import type pg from 'pg';

export class SharedSession {
  readonly #client: pg.Client;
  #last: Promise<unknown> = Promise.resolve();

  constructor(client: pg.Client) {
    this.#client = client;
  }

  /** Runs `work` when all that came before has ended: nobody's statements come between those of another. */
  use<Value>(work: (client: pg.Client) => Promise<Value>): Promise<Value> {
    const result = this.#last.then(() => work(this.#client));
    this.#last = result.catch(() => undefined);
    return result;
  }
}
