/** One maintenance run, as a program: the same in the database and over a connection. */
import { configForObject, configOf } from './configuration.ts';
import type { SettingsSnapshot } from './configuration.ts';
import { attempt, attemptAndUndo, clock, FailureError, query, queryOne } from './program.ts';
import type { Failure, Program } from './program.ts';
import { gapKey, gapsText, storedOf } from './coverage.ts';
import type { Coverage, UnexaminedReason } from './coverage.ts';
import { sqlstate, unexaminedReason } from './sqlstate.ts';
import { actionKey, findingKey } from '../steps/step.ts';
import type { Bypass, Context, Json, JsonObject, Report, Step } from '../steps/step.ts';

/** What the guards of maint.start_run hand over when a run may begin. */
export interface RunRequest {
  now: string;
  server_version: number;
  force: boolean;
  dry_run: boolean;
  only: number[] | null;
  settings: SettingsSnapshot;
  bypasses: Bypass[];
  /** The row of a run that was queued for a worker; absent where the run makes its own. */
  run_id?: number;
  /** Keys of the findings that nobody wants to hear of now. */
  muted: string[];
  /** Keys of the gaps that a person accepted. */
  accepted: string[];
  /** Step number -> seconds since its last success; absent where there is none. */
  seconds_since_success: Record<string, number>;
}

/** Names of the two bypass levels above a single feature. */
export const bypassEverything = 'everything';
export const bypassActions = 'actions';

/** The name under which a step is bypassed: its feature without the prefix, or its own name. */
export function bypassName(step: Pick<Step, 'feature' | 'name'>): string {
  return step.feature?.replace(/^features\./, '') ?? step.name;
}

function skipReason(step: Step, request: RunRequest): UnexaminedReason | null {
  if (request.only && !request.only.includes(step.number)) return 'not_selected';
  if (request.bypasses.some((bypass) => bypass.feature === bypassName(step))) return 'bypassed';
  if (step.feature === null) return null;
  const config = configOf(step, request.settings);
  if (step.enabledBy && config[step.enabledBy] !== true) return 'disabled';
  const since = request.seconds_since_success[String(step.number)];
  if (!request.force && since !== undefined && since < step.interval(config)) return 'not_due';
  return null;
}

function contextOf(step: Step, request: RunRequest): Context {
  const muted = new Set(request.muted);
  return {
    config: step.feature === null ? {} : (configOf(step, request.settings) as Context['config']),
    configFor: (object) => configForObject(step, request.settings, object),
    now: request.now,
    serverVersion: request.server_version,
    bypasses: request.bypasses,
    unmuted: (findings) => findings.filter((finding) => !muted.has(findingKey(finding))),
  };
}

/** The coverage of a step as it is stored, and its gaps as maint.gap keeps them. */
function coverageRecord(step: Step, coverage: Coverage, request: RunRequest) {
  const stored = storedOf(step.number, coverage.unexamined, request.accepted);
  return {
    text: gapsText(stored),
    record: {
      coverage: {
        examined: coverage.examined,
        of: coverage.of,
        unexamined: stored.map((each) => ({ ...each })),
      },
      gaps: stored.map((each) => ({ ...each, key: gapKey(step.number, each) })),
    } satisfies JsonObject,
  };
}

/** Of a step that did not look at anything. */
function nothingExamined(step: Step, reason: UnexaminedReason, detail?: string): Coverage {
  return {
    examined: 0,
    of: null,
    unexamined: [{ what: `step ${step.name}`, reason, ...(detail !== undefined && { detail }) }],
  };
}

/** A report in the form maint.record_step takes. Actions are withheld while they are bypassed. */
function recordOf(step: Step, report: Report, request: RunRequest): JsonObject {
  const withheld = request.bypasses.some((bypass) => bypass.feature === bypassActions);
  const actions = withheld ? [] : report.actions;
  const { text: unexamined, record } = coverageRecord(step, report.coverage, request);
  return {
    status: unexamined === null ? 'success' : 'partial',
    reason:
      unexamined ??
      (withheld && report.actions.length > 0 ? `${report.actions.length} actions withheld: bypassed` : null),
    result: report.result,
    findings: report.findings.map((finding) => ({ ...finding, key: findingKey(finding) })),
    alerts: report.alerts as unknown as Json[],
    actions: actions.map((action) => ({
      kind: action.kind,
      target: { ...action.target },
      reason: action.reason,
      evidence: action.evidence,
      finding_key: findingKey(action.finding),
      key: actionKey(action),
    })),
    examined: report.examined,
    keep_open: (report.keepOpen ?? []).map(findingKey),
    superseded: [...(report.superseded ?? [])],
    ...record,
  };
}

function failureRecord(step: Step, failure: Failure, request: RunRequest): JsonObject {
  const reason = unexaminedReason(failure.sqlstate) ?? 'failed';
  const detail = `${failure.message} (SQLSTATE ${failure.sqlstate})`;
  return {
    status: failure.sqlstate === sqlstate.timeBudgetExceeded ? 'timed_out' : 'failed',
    reason,
    result: step.unexamined,
    error: { ...failure },
    ...coverageRecord(step, nothingExamined(step, reason, detail), request).record,
  };
}

/** What a step that is not due or not selected could not examine before stays so: its gaps are not touched. */
function skippedRecord(step: Step, reason: UnexaminedReason, request: RunRequest): JsonObject {
  const { coverage, gaps } = coverageRecord(step, nothingExamined(step, reason), request).record;
  const chosenForGood = reason === 'disabled' || reason === 'bypassed';
  return { status: 'skipped', reason, result: step.unexamined, coverage, ...(chosenForGood && { gaps }) };
}

function* runStep(step: Step, runId: number, request: RunRequest, budgetMs: number): Program<void> {
  const record = 'select maint.record_step($1::bigint, $2::int, $3::numeric, $4::jsonb) as row';
  const skipped = skipReason(step, request);
  if (skipped) {
    yield* query(record, [runId, step.number, 0, skippedRecord(step, skipped, request)]);
    return;
  }
  const started = yield* clock();
  const outcome = yield* attempt(function* () {
    const report = yield* step.check(contextOf(step, request));
    const duration = (yield* clock()) - started;
    yield* query(record, [runId, step.number, duration, recordOf(step, report, request)]);
  }, budgetMs);
  if (!outcome.ok) {
    const duration = (yield* clock()) - started;
    yield* query(record, [runId, step.number, duration, failureRecord(step, outcome.failure, request)]);
  }
}

function* runAll(steps: readonly Step[], request: RunRequest): Program<JsonObject> {
  const { run_id: runId } = yield* queryOne<{ run_id: number }>('select maint.open_run($1::jsonb) as row', [
    {
      now: request.now,
      force: request.force,
      dry_run: request.dry_run,
      only: request.only,
      run_id: request.run_id ?? null,
    },
  ]);
  const budgetMs = Number(request.settings.database['operational.maintenance_tasks.step_time_budget']) * 1000;
  for (const step of steps) yield* runStep(step, runId, request, budgetMs);
  return yield* queryOne<JsonObject>('select maint.finish_run($1::bigint) as row', [runId]);
}

/** Runs the steps and returns the result dictionary. A dry run does the same and leaves nothing behind. */
export function* runMaintenance(steps: readonly Step[], request: RunRequest): Program<JsonObject> {
  if (!request.dry_run) return yield* runAll(steps, request);
  const outcome = yield* attemptAndUndo(() => runAll(steps, request));
  if (!outcome.ok) throw new FailureError(outcome.failure);
  return outcome.value;
}
