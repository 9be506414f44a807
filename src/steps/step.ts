/**
 * The step contract. A step only reads outside schema maint; what should change is an action, which is data.
 *
 * Glossary: a *check* looks; a *finding* is something seen that matters to a person, with a stable key; an *action*
 * is what pg-maint would do about it; an *alert* tells someone now; *unexamined* is what could not be looked at.
 */
import type { Coverage } from '../core/coverage.ts';
import type { Program } from '../core/program.ts';

export type Severity = 'info' | 'warning' | 'critical';

/** Any JSON value. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type JsonObject = Record<string, Json>;

interface SettingBase {
  /** One or two sentences for the documentation and for error hints. */
  doc: string;
  unit?: 'seconds' | 'milliseconds' | 'hours' | 'days' | 'percent' | 'megabytes' | 'gigabytes';
  /** True where a narrower scope than the database (schema, table, index) makes sense. */
  scoped?: boolean;
}

export type Setting = SettingBase &
  (
    | { type: 'boolean'; default: boolean }
    | { type: 'integer' | 'number'; default: number; minimum: number; maximum: number }
    | { type: 'text'; default: string; choices?: readonly string[] }
    | { type: 'list'; default: readonly string[]; choices?: readonly string[] }
  );

export type Settings = Record<string, Setting>;

type ValueOf<Each extends Setting> = Each extends { type: 'boolean' }
  ? boolean
  : Each extends { type: 'integer' | 'number' }
    ? number
    : Each extends { type: 'list' }
      ? readonly string[]
      : string;

export type ConfigOf<All extends Settings> = { readonly [Key in keyof All]: ValueOf<All[Key]> };

/** An object a setting may be narrowed to. Names are raw, not quoted. */
export interface ObjectName {
  schema: string;
  table?: string;
  index?: string;
}

export interface Bypass {
  feature: string;
  reason: string;
  bypassed_by: string;
  since: string;
  until: string;
}

/** What a check is given. There is no clock and no randomness beside it. */
export interface Context<All extends Settings = Settings> {
  config: ConfigOf<All>;
  /** The configuration as it holds for one object: the narrowest matching scope wins. */
  configFor(object: ObjectName): ConfigOf<All>;
  /** When the run began, ISO 8601. */
  now: string;
  /** As in `server_version_num`: 150020. */
  serverVersion: number;
  bypasses: readonly Bypass[];
  /** Those of the findings that nobody has muted: an alert counts and names no others. */
  unmuted(findings: readonly Finding[]): readonly Finding[];
}

export interface Finding {
  kind: string;
  severity: Severity;
  /** Raw names; null where the finding is about something without one. */
  schema: string | null;
  table: string | null;
  object: string | null;
  /** Tells findings of the same kind about the same object apart. */
  discriminator?: string;
  /** One sentence; names quoted as psql needs them. */
  summary: string;
  detail: JsonObject;
  /** A statement that can be pasted into psql, or null where there is none. */
  remedy: string | null;
}

export interface Alert {
  severity: Severity;
  message: string;
  detail?: JsonObject;
}

/** What each kind of action acts on. Names are raw; with them go what the worker probes again before it acts. */
export interface ActionTargets {
  drop_index: { schema: string; table: string; index: string; oid: number };
  /** `statement` creates the index `index` on the table, concurrently; the server has quoted its names. */
  create_index: { schema: string; table: string; oid: number; index: string; statement: string };
  reindex_index: { schema: string; table: string; index: string; oid: number };
  /** `oid` is the table's. */
  analyze_table: { schema: string; table: string; oid: number };
  terminate_backend: { pid: number; backend_start: string };
}

interface ActionOf<Kind extends keyof ActionTargets> {
  kind: Kind;
  /** The finding this action would resolve. */
  finding: Finding;
  target: ActionTargets[Kind];
  reason: string;
  evidence: JsonObject;
}

export type Action = { [Kind in keyof ActionTargets]: ActionOf<Kind> }[keyof ActionTargets];

/** What makes two actions the same one: it is queued once, however many runs ask for it. */
export function actionKey(action: Action): string {
  switch (action.kind) {
    case 'drop_index':
    case 'create_index':
    case 'reindex_index':
      return JSON.stringify([action.kind, action.target.schema, action.target.index]);
    case 'analyze_table':
      return JSON.stringify([action.kind, action.target.schema, action.target.table]);
    case 'terminate_backend':
      return JSON.stringify([action.kind, action.target.pid, action.target.backend_start]);
  }
}

/** How many of the actions would resolve one of the findings: an alert tells of those that it counts. */
export function countActionsOf(findings: readonly Finding[], actions: readonly Action[]): number {
  const counted = new Set(findings);
  return actions.filter(({ finding }) => counted.has(finding)).length;
}

export interface Report {
  /** Merged into the run's dictionary; keys below `cleanup` are merged one by one. */
  result: JsonObject;
  findings: Finding[];
  alerts: Alert[];
  actions: Action[];
  /** What it could examine, and what not and why. A gap in it makes step and run `partial`, unless a person accepted it. */
  coverage: Coverage;
  /** Kinds that were looked at in full: their open findings that were not seen again are resolved. */
  examined: string[];
  /** Findings of an examined kind that could not be looked at again and stay open although not seen. */
  keepOpen?: Pick<Finding, 'kind' | 'schema' | 'table' | 'object' | 'discriminator'>[];
  /** Keys of open findings of other steps that cannot stand beside these: they are resolved. */
  superseded?: readonly string[];
}

export interface StepDefinition<All extends Settings> {
  number: number;
  name: string;
  title: string;
  /** Configuration prefix, or null for a step that cannot be configured. */
  feature: string | null;
  /** The kinds of its findings: all of them. */
  kinds: readonly string[];
  config: All;
  /** The boolean setting that switches the step; `enabled` where there is one. */
  enabledBy?: keyof All & string;
  /** Seconds between two runs of this step; 0 for every run. */
  interval(config: ConfigOf<All>): number;
  /** Result key below `cleanup` -> kind of the actions it counts. A count is of things done. */
  actionCounts?: Record<string, Action['kind']>;
  /** The step's part of the result when it did not run: unknown is never healthy. */
  unexamined: JsonObject;
  check(context: Context<All>): Program<Report>;
  /** What an action is judged again by; where left out, `check`. It takes no samples, or looks only at what the action is about. */
  recheck?(context: Context<All>, action: Pick<Action, 'kind' | 'target'>): Program<Report>;
}

/** A step with its settings' types forgotten, as the registry and the run need it. */
export interface Step extends Omit<StepDefinition<Settings>, 'interval' | 'check' | 'recheck'> {
  interval(config: Record<string, Json>): number;
  check(context: Context): Program<Report>;
  recheck?(context: Context, action: Pick<Action, 'kind' | 'target'>): Program<Report>;
}

/** Declares a step. The types of `config` follow from the descriptors. */
export function defineStep<const All extends Settings>(definition: StepDefinition<All>): Step {
  const enabledBy = definition.enabledBy ?? ('enabled' in definition.config ? 'enabled' : undefined);
  return { ...definition, ...(enabledBy && { enabledBy }) } as unknown as Step;
}

/** The stable identity of a finding: kind and object. A rerun that sees the same gives the same key. */
export function findingKey(
  finding: Pick<Finding, 'kind' | 'schema' | 'table' | 'object' | 'discriminator'>,
): string {
  return JSON.stringify([
    finding.kind,
    finding.schema,
    finding.table,
    finding.object,
    finding.discriminator ?? null,
  ]);
}
