/** Parses the texts that snapshots of pg_stat_statements brought, with the server's grammar, which no database has inside. */
import type pg from 'pg';
import { performInProcess, programFile } from './child-process.ts';
import { queryRow } from './connection.ts';
import type { ParsingJob, Text } from './parsing.ts';

/** What one process gets. Most texts are short, and none has more than 20,000 characters: 10 MB at the very most. */
const batch = 500;
/** A text takes a tenth of a millisecond. */
const timeoutSeconds = 60;
/**
 * Optimizing the grammar's code would take V8 700 MB and longer than parsing ten thousand texts with the code as it is
 * compiled at first, which takes 80 MB.
 */
const nodeOptions = ['--liftoff-only', '--max-old-space-size=256'];

export async function textsAreWaiting(client: pg.ClientBase): Promise<boolean> {
  const { waiting } = await queryRow<{ waiting: boolean }>(
    client,
    'select exists (select from maint.query_text as t where t.parsed_at is null) as waiting',
  );
  return waiting;
}

/** All that are not parsed yet; gives up between two batches, or throws within one, when the signal fires. */
export async function parseTexts(client: pg.ClientBase, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { rows: texts } = await client.query<Text>(
      `select t.text_id, t.text, t.length = pg_catalog.length(t.text) as complete
       from maint.query_text as t
       where t.parsed_at is null
       order by t.text_id
       limit $1`,
      [batch],
    );
    if (texts.length === 0) return;
    const readings = await performInProcess<ParsingJob, string>(
      programFile(import.meta.dirname, 'parsing'),
      { texts },
      { nodeOptions, timeoutSeconds, signal },
    );
    // What reads a table of the users is theirs, whatever catalogs it names beside it.
    await client.query(
      `update maint.query_text as t set parsed_at = pg_catalog.clock_timestamp(), parse_error = r.parse_error,
         fingerprint = r.fingerprint, shape = r.shape, verb = coalesce(r.verb, t.verb),
         own = case when pg_catalog.jsonb_array_length(r.relations) = 0 then t.own
           else not exists (
             select from pg_catalog.jsonb_to_recordset(r.relations) as u (schema text, name text)
             where coalesce(u.schema not in ('pg_catalog', 'information_schema', 'maint', 'maint_boss'),
               not exists (
                 select from pg_catalog.pg_class as c
                 where c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace and c.relname = u.name)))
         end
       from pg_catalog.jsonb_to_recordset($1::jsonb) as r (text_id int, parse_error text, fingerprint text, shape jsonb,
         verb text, relations jsonb)
       where t.text_id = r.text_id`,
      [readings],
    );
  }
}
