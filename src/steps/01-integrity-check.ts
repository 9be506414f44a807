/**
 * Step 1: is what the catalog and the indexes say true? Eleven checks, each in a subtransaction of its own, so that
 * one that fails or is not permitted leaves the others their verdict. `healthy` only when every check that is not
 * switched off saw all of its objects and found nothing to warn of.
 */
import { attempt } from '../core/program.ts';
import type { Outcome } from '../core/program.ts';
import { unexaminedReason } from '../core/sqlstate.ts';
import type { Unexamined } from '../core/coverage.ts';
import type { IntegrityCheck, IntegrityReport } from './integrity/check.ts';
import { integrityKind } from './integrity/check.ts';
import { integrityChecks } from './integrity/index.ts';
import { defineStep } from './step.ts';
import type { Finding, JsonObject, Severity } from './step.ts';

/** The dictionary lists this many issues; maint.findings has them all. */
const listedIssues = 100;

type Verdict = 'healthy' | 'unhealthy' | 'unknown' | 'disabled';

interface Judged {
  check: IntegrityCheck;
  verdict: Verdict;
  report: IntegrityReport | null;
  unexamined: readonly Omit<Unexamined, 'what'>[];
}

const weight: Record<Severity, number> = { critical: 0, warning: 1, info: 2 };

function judge(check: IntegrityCheck, outcome: Outcome<IntegrityReport>): Judged {
  if (!outcome.ok) {
    const { sqlstate, message } = outcome.failure;
    return {
      check,
      verdict: 'unknown',
      report: null,
      unexamined: [{ reason: unexaminedReason(sqlstate) ?? 'failed', detail: `${sqlstate} ${message}` }],
    };
  }
  const report = outcome.value;
  const unhealthy = report.findings.some(({ severity }) => severity !== 'info');
  const unexamined = report.unexamined ?? [];
  const complete = report.examined >= report.total && unexamined.length === 0;
  return {
    check,
    verdict: unhealthy ? 'unhealthy' : complete ? 'healthy' : 'unknown',
    report,
    unexamined,
  };
}

function verdictOf(judged: readonly Judged[]): Exclude<Verdict, 'disabled'> {
  if (judged.some(({ verdict }) => verdict === 'unhealthy')) return 'unhealthy';
  const looked = judged.filter(({ verdict }) => verdict !== 'disabled');
  return looked.length > 0 && looked.every(({ verdict }) => verdict === 'healthy') ? 'healthy' : 'unknown';
}

/** What a check could not see, for its entry of the result: the first reason, and all details. */
function unexaminedEntry(unexamined: Judged['unexamined']): JsonObject {
  const [first] = unexamined;
  if (!first) return {};
  return {
    reason: first.reason,
    detail: unexamined.map(({ detail, remedy }) => detail ?? remedy).join('; '),
  };
}

function entryOf({ verdict, report, unexamined }: Judged): JsonObject {
  return {
    status: verdict,
    ...unexaminedEntry(unexamined),
    ...(report && {
      examined: report.examined,
      total: report.total,
      coverage: `checked ${report.examined} of ${report.total}`,
    }),
    ...(report?.note && typeof report.note === 'object' && !Array.isArray(report.note) && report.note),
  };
}

/** For a person who has not the dictionary at hand: how many objects were checked, too. */
function detailOf({ detail }: { detail?: string }, report: IntegrityReport | null): string {
  const checked = report === null ? [] : [`checked ${report.examined} of ${report.total}`];
  return [...checked, ...(detail === undefined ? [] : [detail])].join(': ');
}

function issueOf(finding: Finding): JsonObject {
  return {
    check: finding.kind.replace('integrity.', ''),
    severity: finding.severity,
    schema: finding.schema,
    table: finding.table,
    object: finding.object,
    summary: finding.summary,
  };
}

export default defineStep({
  number: 1,
  name: 'integrity_check',
  title: 'Check database integrity',
  feature: 'features.integrity_check',
  kinds: integrityChecks.map(({ name }) => integrityKind(name)),
  config: {
    enabled: { type: 'boolean', default: true, doc: 'Check the integrity of the catalog and of indexes.' },
    disabled_checks: {
      type: 'list',
      default: [],
      choices: integrityChecks.map(({ name }) => name),
      doc: 'Checks that are not run, and that the verdict does not wait for.',
    },
    sequence_used_percent: {
      type: 'number',
      unit: 'percent',
      // Early costs a message; late costs inserts that fail. 80 % leaves months where it took years to get there.
      default: 80,
      minimum: 1,
      maximum: 100,
      doc: 'Report a sequence that has used this much of its range or of its column.',
    },
    transaction_id_used_percent: {
      type: 'number',
      unit: 'percent',
      // Autovacuum starts at autovacuum_freeze_max_age (10 % by default); at 50 % it has plainly not kept up.
      default: 50,
      minimum: 1,
      maximum: 100,
      doc: 'Report a database that has used this much of its transaction ids or multixacts.',
    },
    btree_time_budget: {
      type: 'integer',
      unit: 'milliseconds',
      default: 5000,
      minimum: 0,
      maximum: 600_000,
      doc: 'Time a run gives to checking B-trees with amcheck; the next run goes on where this one stopped.',
    },
    btree_recheck_days: {
      type: 'integer',
      unit: 'days',
      default: 30,
      minimum: 1,
      maximum: 3650,
      doc: 'How long the check of a B-tree counts before it is checked again.',
    },
  },
  interval: () => 0,
  unexamined: { integrity_check: { status: 'unknown', issues: [] } },

  *check({ config, serverVersion, unmuted }) {
    const judged: Judged[] = [];
    for (const check of integrityChecks) {
      if (config.disabled_checks.includes(check.name)) {
        judged.push({
          check,
          verdict: 'disabled',
          report: null,
          unexamined: [{ reason: 'disabled', detail: 'switched off by disabled_checks' }],
        });
        continue;
      }
      judged.push(judge(check, yield* attempt(() => check.look({ config, serverVersion }))));
    }
    const findings = judged.flatMap(({ report }) => report?.findings ?? []);
    const issues = [...findings].sort((a, b) => weight[a.severity] - weight[b.severity]);
    const serious = unmuted(findings).filter(({ severity }) => severity !== 'info');
    return {
      result: {
        integrity_check: {
          status: verdictOf(judged),
          issues: issues.slice(0, listedIssues).map(issueOf),
          issue_count: issues.length,
          checks: Object.fromEntries(judged.map((each) => [each.check.name, entryOf(each)])),
        },
      },
      findings,
      alerts:
        serious.length === 0
          ? []
          : [
              {
                severity: 'warning',
                message: `integrity issues found: ${serious.length}`,
                detail: { critical: serious.filter(({ severity }) => severity === 'critical').length },
              },
            ],
      actions: [],
      coverage: {
        examined: judged.filter(({ unexamined }) => unexamined.length === 0).length,
        of: judged.length,
        unexamined: judged.flatMap(({ check, unexamined, report }) =>
          unexamined.map((each) => ({ ...each, what: check.title, detail: detailOf(each, report) })),
        ),
      },
      examined: judged.filter(({ report }) => report !== null).map(({ check }) => integrityKind(check.name)),
      keepOpen: judged.flatMap(({ report }) => report?.keepOpen ?? []),
    };
  },
});
