/**
 * The program of a parsing process: texts come in as a message, what was read in them goes out as one. The grammar is
 * WebAssembly, whose memory never shrinks: it is in no other process.
 */
import { namedRelations } from '../catalog/parsed-statement.ts';
import { answerJob } from './child-process.ts';
import { loadParser, parseStatement } from './sql-parse.ts';

export interface Text {
  text_id: number;
  text: string;
  /** Not cut. */
  complete: boolean;
}

export interface ParsingJob {
  texts: Text[];
}

/** A row for maint.query_text. */
interface Reading {
  text_id: number;
  parse_error: string | null;
  fingerprint: string | null;
  shape: object | null;
  verb: string | null;
  relations: { schema: string | null; name: string }[];
}

function read({ text_id, text, complete }: Text): Reading {
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

// As one text, as it goes on to the server as it is: the worker need not make objects of it.
answerJob(async ({ texts }: ParsingJob): Promise<string> => {
  await loadParser();
  return JSON.stringify(texts.map(read));
});
