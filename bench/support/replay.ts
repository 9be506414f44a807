/**
 * What a run costs without its host: the very queries that the steps asked, recorded from the host over a connection
 * and sent again plainly.
 */
import type pg from 'pg';
import { runAsync } from '../../src/core/drivers.ts';
import type { AsyncHost } from '../../src/core/drivers.ts';
import type { Parameter } from '../../src/core/program.ts';
import { runMaintenance } from '../../src/core/run.ts';
import type { RunRequest } from '../../src/core/run.ts';
import { steps } from '../../src/steps/index.ts';
import { connectionHost } from '../../src/worker/host.ts';

export interface Query {
  text: string;
  parameters: (string | number | boolean | null)[];
  /** The number of the step that asked; -1 for the run's own. */
  step: number;
  /** Milliseconds when it was recorded. */
  ms: number;
}

/** Queries in the order of the run. Those that the run rolled back stand together. */
interface Part {
  rolledBack: boolean;
  queries: Query[];
}

export interface Recording {
  parts: Part[];
  /** The number that the recorded run had. */
  runId: number;
}

export function queriesOf(recording: Recording): Query[] {
  return recording.parts.flatMap(({ queries }) => queries);
}

function wireValue(parameter: Parameter): string | number | boolean | null {
  return parameter !== null && typeof parameter === 'object' ? JSON.stringify(parameter) : parameter;
}

class Recorder {
  readonly parts: Part[] = [];
  readonly #host: AsyncHost;

  constructor(client: pg.Client) {
    this.#host = connectionHost(client);
  }

  host(): AsyncHost {
    return {
      query: async (text, parameters) => {
        const query = { text, parameters: parameters.map(wireValue), step: -1, ms: 0 };
        this.parts.push({ rolledBack: false, queries: [query] });
        const started = performance.now();
        try {
          return await this.#host.query(text, parameters);
        } finally {
          query.ms = performance.now() - started;
          if (text.startsWith('select maint.record_step(')) this.#attribute(Number(parameters[1]));
        }
      },
      subtransaction: async (body, budgetMs) => {
        const begin = this.parts.length;
        try {
          return await this.#host.subtransaction(body, budgetMs);
        } catch (error) {
          const queries = this.parts.splice(begin).flatMap((part) => part.queries);
          this.parts.push({ rolledBack: true, queries });
          throw error;
        }
      },
      clock: () => this.#host.clock(),
    };
  }

  /** A step ends with its record: all queries since the last one were its own. */
  #attribute(step: number): void {
    for (const { queries } of this.parts.slice(1)) {
      for (const query of queries) if (query.step === -1) query.step = step;
    }
  }
}

/**
 * Runs the steps over this connection in a transaction that is rolled back, and returns every query with its
 * parameters. Of the savepoints only those are kept that the run rolled back to: the others are the host's.
 */
export async function record(client: pg.Client, only: readonly number[] | null): Promise<Recording> {
  const recorder = new Recorder(client);
  await client.query('begin');
  try {
    const { rows } = await client.query<{ guarded: { request?: RunRequest } }>(
      'select maint.start_run(true, $1::text[], false) as guarded',
      [only?.map(String) ?? null],
    );
    const request = rows[0]?.guarded.request;
    if (!request) throw new Error('the run to record was skipped');
    const result = await runAsync(runMaintenance(steps, request), recorder.host());
    if (result['status'] !== 'success')
      throw new Error(`the recorded run is ${JSON.stringify(result['steps'])}`);
    return { parts: recorder.parts, runId: Number(result['run_id']) };
  } finally {
    await client.query('rollback');
  }
}

/** The queries again, one after another over the connection, as an application would send them. */
export async function replayOverConnection(client: pg.Client, recording: Recording): Promise<void> {
  for (const { rolledBack, queries } of recording.parts) {
    if (rolledBack) await client.query('savepoint replay');
    try {
      for (const { text, parameters } of queries) await client.query(text, parameters);
    } catch (error) {
      if (!rolledBack) throw error;
    }
    if (rolledBack) await client.query('rollback to savepoint replay; release savepoint replay');
  }
}

/**
 * Makes pg_temp.replay() on this connection: the queries again inside the server, without a trip for each, by the
 * simplest thing that PostgreSQL has for it. Parameters go as text, since every query casts its own.
 */
export async function loadReplay(client: pg.Client, recording: Recording): Promise<void> {
  await client.query(`
    create temp table if not exists replay (
      part int, rolled_back boolean, position int, text text, parameters text[], primary key (part, position));
    truncate replay;
    create or replace function pg_temp.replay() returns void language plpgsql as $function$
    declare
      p record;
      q record;
    begin
      for p in select distinct r.part, r.rolled_back from replay as r order by 1 loop
        if p.rolled_back then
          begin
            for q in select r.text, r.parameters as v from replay as r where r.part = p.part order by r.position loop
              execute q.text using q.v[1], q.v[2], q.v[3], q.v[4], q.v[5], q.v[6];
            end loop;
            raise exception 'rolled back';
          exception when others then null;
          end;
        else
          for q in select r.text, r.parameters as v from replay as r where r.part = p.part order by r.position loop
            execute q.text using q.v[1], q.v[2], q.v[3], q.v[4], q.v[5], q.v[6];
          end loop;
        end if;
      end loop;
    end $function$`);
  const rows = recording.parts.flatMap(({ rolledBack, queries }, part) =>
    queries.map(({ text, parameters }, position) => ({
      part,
      rolled_back: rolledBack,
      position,
      text,
      parameters: parameters.map((value) => (value === null ? null : String(value))),
    })),
  );
  await client.query(
    `insert into replay
     select r.part, r.rolled_back, r.position, r.text,
       array(select e.value from jsonb_array_elements_text(r.parameters) with ordinality as e (value, at) order by e.at)
     from jsonb_to_recordset($1::jsonb) as r (part int, rolled_back boolean, position int, text text, parameters jsonb)`,
    [JSON.stringify(rows)],
  );
  await client.query('analyze replay');
}

/** Gives the next run the number that the recorded one had: its queries name it. */
export async function resetRunNumber(client: pg.Client, recording: Recording): Promise<void> {
  await client.query(`select setval(pg_get_serial_sequence('maint.run_log', 'run_id'), $1, false)`, [
    recording.runId,
  ]);
}
