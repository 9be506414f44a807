/** The contract of the checks that step 1 is made of. Each is isolated: a failing one leaves the others their verdict. */
import type { Unexamined } from '../../core/coverage.ts';
import type { Program } from '../../core/program.ts';
import type { Finding, Json } from '../step.ts';

/** The part of step 1's configuration that checks read. */
export interface IntegrityConfig {
  readonly sequence_used_percent: number;
  readonly transaction_id_used_percent: number;
  readonly btree_time_budget: number;
  readonly btree_recheck_days: number;
}

export interface IntegrityContext {
  config: IntegrityConfig;
  serverVersion: number;
}

export interface IntegrityReport {
  findings: Finding[];
  /** How many objects there are, and how many of these were examined. */
  total: number;
  examined: number;
  /** Why not all were examined; must be given when examined < total. */
  unexamined?: Omit<Unexamined, 'what'>[];
  keepOpen?: Pick<Finding, 'kind' | 'schema' | 'table' | 'object'>[];
  /** More that a reader of the result may want. */
  note?: Json;
}

export interface IntegrityCheck {
  /** Its findings are of kind `integrity.<name>`. */
  name: string;
  title: string;
  look(context: IntegrityContext): Program<IntegrityReport>;
}

export function integrityKind(name: string): string {
  return `integrity.${name}`;
}

/** A report of a check that sees all of its objects or fails as a whole. */
export function wholeReport(total: number, findings: Finding[]): IntegrityReport {
  return { findings, total, examined: total };
}

/** An expression over pg_namespace n: neither the system's nor temporary. */
export const userSchema = `n.nspname not in ('pg_catalog', 'information_schema')
    and n.nspname !~ '^pg_(toast|temp_|toast_temp_)'`;

/** How many names one line of a result has. */
export const namesInSummary = 5;

/** The first few of many names, for one line of a result. `total` where not all names are known. */
export function summarizeNames(names: readonly string[], total: number = names.length): string {
  const shown = names.slice(0, namesInSummary);
  const more = total - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
