/** Writers that know what they have committed, whatever is killed under them. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Random } from '../property/random.ts';

/** Enough for a build to take a while, few enough to be compared after every moment. */
const rowsPerWriter = 10_000;
const writerCount = 3;
/** Of a transaction that CONCURRENTLY has to wait for. */
const longTransaction = { chance: 0.02, milliseconds: 300 };
const pauseMs = 3;

type Changes = Map<number, number | null>;

/** What each row says beside its number: not sorted as its key is, and wide enough for an index to have pages. */
export const noteOf = `pg_catalog.md5(v::text)`;

export const loadSchema = `
  create schema chaos;
  create table chaos.writer (writer int primary key, sequence bigint not null);
  create table chaos.ledger (id int primary key, v int not null, note text generated always as (${noteOf}) stored);
  insert into chaos.writer select n, 0 from generate_series(0, ${writerCount - 1}) as n;
  insert into chaos.ledger
    select w * 1000000 + n, n from generate_series(0, ${writerCount - 1}) as w, generate_series(0, ${rowsPerWriter - 1}) as n;
  analyze chaos.ledger`;

/** Whether an error means that the connection or the server went, and not that something is wrong. */
export function isLoss(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return true;
  return /^(57P|08)/.test(error.code ?? '');
}

class Writer {
  readonly #number: number;
  readonly #connect: () => Promise<pg.Client>;
  readonly #random: Random;
  readonly #rows = new Map<number, number>();
  #next = rowsPerWriter;
  #sequence = 0;
  #client: pg.Client | null = null;
  /** Sent to be committed, without an answer yet. */
  #pending: Changes | null = null;

  constructor(number: number, connect: () => Promise<pg.Client>, random: Random) {
    this.#number = number;
    this.#connect = connect;
    this.#random = random;
    for (let n = 0; n < rowsPerWriter; n += 1) this.#rows.set(number * 1_000_000 + n, n);
  }

  /** Returns the number of transactions; throws where the server says something that it should not. */
  async work(signal: AbortSignal): Promise<number> {
    let done = 0;
    while (!signal.aborted) {
      try {
        await this.#transaction(await this.#settled());
        done += 1;
      } catch (error) {
        if (!isLoss(error)) throw error;
        await this.leave();
        await sleep(20);
      }
      await sleep(pauseMs);
    }
    return done;
  }

  /** All that this writer has in the table. Connects where it must find out what became of its last transaction. */
  async rows(): Promise<ReadonlyMap<number, number>> {
    await this.#settled();
    return this.#rows;
  }

  async leave(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    await client?.end().catch(() => undefined);
  }

  async #settled(): Promise<pg.Client> {
    this.#client ??= await this.#connect();
    if (this.#pending !== null) {
      const { rows } = await this.#client.query<{ sequence: number }>(
        'select sequence::float8 as sequence from chaos.writer where writer = $1',
        [this.#number],
      );
      this.#end(rows[0]!.sequence === this.#sequence + 1);
    }
    return this.#client;
  }

  #end(committed: boolean): void {
    if (committed) {
      this.#sequence += 1;
      for (const [id, value] of this.#pending!) {
        if (value === null) this.#rows.delete(id);
        else this.#rows.set(id, value);
      }
    }
    this.#pending = null;
  }

  async #transaction(client: pg.Client): Promise<void> {
    const changes = this.#changes();
    await client.query('begin');
    for (const [id, value] of changes) {
      if (value === null) await client.query('delete from chaos.ledger where id = $1', [id]);
      else
        await client.query(
          'insert into chaos.ledger (id, v) values ($1, $2) on conflict (id) do update set v = excluded.v',
          [id, value],
        );
    }
    await client.query('update chaos.writer set sequence = $2 where writer = $1', [
      this.#number,
      this.#sequence + 1,
    ]);
    if (this.#random.chance(longTransaction.chance)) await sleep(longTransaction.milliseconds);
    this.#pending = changes;
    await client.query('commit');
    this.#end(true);
  }

  #changes(): Changes {
    const changes: Changes = new Map();
    const own = (): number => this.#number * 1_000_000 + this.#random.below(this.#next);
    for (let count = 1 + this.#random.below(4); count > 0; count -= 1) {
      const value = this.#random.below(1_000_000);
      if (this.#random.chance(0.3)) changes.set(own(), null);
      else changes.set(own(), value);
    }
    if (this.#random.chance(0.3)) {
      changes.set(this.#number * 1_000_000 + this.#next, this.#random.below(1_000_000));
      this.#next += 1;
    }
    return changes;
  }
}

export class Load {
  readonly #writers: Writer[];
  #stop: AbortController | null = null;
  #working: Promise<number[]> | null = null;

  constructor(connect: () => Promise<pg.Client>, random: () => Random) {
    this.#writers = Array.from({ length: writerCount }, (_, n) => new Writer(n, connect, random()));
  }

  start(): void {
    const stop = new AbortController();
    this.#stop = stop;
    this.#working = Promise.all(this.#writers.map((writer) => writer.work(stop.signal)));
    // Told by stop(); until then it must not count as unhandled.
    this.#working.catch(() => undefined);
  }

  /** Returns the number of transactions committed since start(). */
  async stop(): Promise<number> {
    this.#stop?.abort();
    const counts = (await this.#working) ?? [];
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async leave(): Promise<void> {
    await Promise.all(this.#writers.map((writer) => writer.leave()));
  }

  /** Of all rows that were committed: what `checksumQuery` must give. While the writers rest. */
  async checksum(): Promise<string> {
    const all: [number, number][] = [];
    for (const writer of this.#writers) all.push(...(await writer.rows()));
    all.sort(([one], [other]) => one - other);
    return createHash('md5')
      .update(all.map(([id, value]) => `${id}:${value}`).join(','))
      .digest('hex');
  }
}

/** From the heap alone, and that the generated column is what it was made from. */
export const checksumQuery = `
  select md5(string_agg(format('%s:%s', id, v), ',' order by id)) as checksum,
    count(*) filter (where note is distinct from ${noteOf})::int as broken
  from chaos.ledger`;
