/**
 * The part of PL/V8 that the bundle uses; maint_v8 (src/bridge) offers exactly this and nothing else.
 * Values: json and jsonb arrive as plain values, int8 as bigint, text and others as strings.
 */
interface Plv8Error extends Error {
  /** Five characters. Lost when the error leaves `plv8.subtransaction` in PL/V8 3.1: read it inside. */
  sqlerrcode?: string;
  detail?: string;
  hint?: string;
  context?: string;
}

interface Plv8PreparedPlan {
  execute(parameters?: readonly unknown[]): unknown;
  free(): void;
}

interface Plv8 {
  readonly version: string;
  /** Rows of a statement that returns some, else the number of rows processed. Runs in a subtransaction. */
  execute(text: string, parameters?: readonly unknown[]): unknown;
  prepare(text: string, types?: readonly string[]): Plv8PreparedPlan;
  subtransaction(body: () => void): void;
  elog(level: number, ...messages: unknown[]): void;
  quote_ident(name: string): string;
  quote_literal(value: string): string;
  quote_nullable(value: string | null): string;
}

declare const plv8: Plv8;
declare const DEBUG1: number;
declare const INFO: number;
declare const NOTICE: number;
declare const WARNING: number;
declare const ERROR: number;
