/**
 * Reads a statement with PostgreSQL's own grammar (libpg-query): the one place where SQL text becomes structure. It takes
 * the texts of pg_stat_statements, with $1 in the place of constants, as well as plain SQL.
 */
import { fingerprintSync, loadModule, parseSync, SqlError } from 'libpg-query';
import type { ParsedStatement } from '../catalog/parsed-statement.ts';
import { readStatement } from './sql-tree.ts';
import type { Tree } from './sql-nodes.ts';

export interface Parsed {
  /** Equal for statements that differ only in constants, in the length of lists, and in spelling. */
  fingerprint: string;
  statement: ParsedStatement;
}

export type ParseOutcome = { ok: true; parsed: Parsed } | { ok: false; reason: string };

let loaded: Promise<void> | undefined;

/** Has to be awaited once before the first parse: compiles the grammar. */
export function loadParser(): Promise<void> {
  return (loaded ??= loadModule());
}

/** One statement. Never throws for what is in the text. */
export function parseStatement(text: string): ParseOutcome {
  try {
    const tree = parseSync(text) as { stmts?: { stmt?: Tree }[] };
    const [only, ...more] = tree.stmts ?? [];
    if (only?.stmt === undefined || more.length > 0)
      return { ok: false, reason: `${more.length === 0 ? 'no' : 'more than one'} statement` };
    return {
      ok: true,
      parsed: { fingerprint: fingerprintSync(text), statement: readStatement(only.stmt) },
    };
  } catch (error) {
    if (error instanceof SqlError) return { ok: false, reason: error.message };
    // Nested more deeply than the stack holds, here or in the parser; any other would be a defect.
    if (error instanceof RangeError) return { ok: false, reason: `nested too deeply: ${error.message}` };
    throw error;
  }
}
