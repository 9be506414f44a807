/** Parses the texts that snapshots of pg_stat_statements brought, with the server's grammar, which no database has inside. */
import type pg from 'pg';
import { namedRelations } from '../catalog/parsed-statement.ts';
import { loadParser, parseStatement } from './sql-parse.ts';

/** A text takes about half a millisecond: a batch holds up the worker's other work for a tenth of a second. */
const batch = 200;

interface Row {
  text_id: number;
  text: string;
  complete: boolean;
}

interface Reading {
  text_id: number;
  parse_error: string | null;
  fingerprint: string | null;
  shape: object | null;
  verb: string | null;
  relations: { schema: string | null; name: string }[];
}

function read({ text_id, text, complete }: Row): Reading {
  const outcome = complete
    ? parseStatement(text)
    : { ok: false as const, reason: 'too long to be kept whole' };
  if (!outcome.ok) {
    return {
      text_id,
      parse_error: outcome.reason,
      fingerprint: null,
      shape: null,
      verb: null,
      relations: [],
    };
  }
  const { fingerprint, statement } = outcome.parsed;
  const relations = namedRelations(statement).map(({ schema, name }) => ({ schema, name }));
  return { text_id, parse_error: null, fingerprint, shape: statement, verb: statement.verb, relations };
}

/** All that are not parsed yet; gives up between two batches when the signal fires. */
export async function parseTexts(client: pg.ClientBase, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { rows } = await client.query<Row>(
      `select t.text_id, t.text, t.length = pg_catalog.length(t.text) as complete
       from maint.query_text as t
       where t.parsed_at is null
       order by t.text_id
       limit $1`,
      [batch],
    );
    if (rows.length === 0) return;
    await loadParser();
    // What reads a table of the users is theirs, whatever catalogs it names beside it.
    await client.query(
      `update maint.query_text as t set parsed_at = pg_catalog.clock_timestamp(), parse_error = r.parse_error,
         fingerprint = r.fingerprint, shape = r.shape, verb = coalesce(r.verb, t.verb),
         own = case when pg_catalog.jsonb_array_length(r.relations) = 0 then t.own
           else not exists (
             select from pg_catalog.jsonb_to_recordset(r.relations) as u (schema text, name text)
             where coalesce(u.schema not in ('pg_catalog', 'information_schema', 'maint', 'pgboss'),
               not exists (
                 select from pg_catalog.pg_class as c
                 where c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace and c.relname = u.name)))
         end
       from pg_catalog.jsonb_to_recordset($1::jsonb) as r (text_id int, parse_error text, fingerprint text, shape jsonb,
         verb text, relations jsonb)
       where t.text_id = r.text_id`,
      [JSON.stringify(rows.map(read))],
    );
    if (signal.aborted) return;
  }
}
