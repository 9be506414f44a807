/** What install, uninstall, status and config say. */
import pg from 'pg';
import type { ConfigurationChange } from './configuration-file.ts';
import type { InstallReport } from './install.ts';
import { printable } from './printable.ts';
import { renderPairs } from './render.ts';
import { defaultOwner } from './trust.ts';
import type { UninstallReport } from './uninstall.ts';

const outcomes = {
  installed: 'installed',
  upgraded: 'upgraded',
  already_installed: 'already installed; nothing had to change',
} as const;

const wouldBe = {
  installed: 'would be installed; nothing was changed',
  upgraded: 'would be upgraded; nothing was changed',
  already_installed: 'is installed; nothing was changed',
} as const;

/** The report of an installation, with the statements that would give what is missing. Ends with a newline. */
export function renderInstall(report: InstallReport): string {
  const from =
    report.previousVersion !== null && report.previousVersion !== report.version
      ? ` (was ${report.previousVersion})`
      : '';
  const lines = [
    `pg-maint ${report.version}${from} in database ${printable(report.database)}: ${(report.dryRun ? wouldBe : outcomes)[report.outcome]}`,
    `engine ${report.engine}, owner ${printable(report.owner)}`,
  ];
  if (report.createdExtensions.length > 0)
    lines.push(`created the extensions ${report.createdExtensions.join(', ')}`);
  if (report.migrations.length > 0) lines.push(`applied ${report.migrations.join(', ')}`);
  lines.push(...report.engineNotes.map(printable));
  const outside = report.statements.filter((line) => report.dryRun || !line.startsWith('--'));
  if (outside.length > 0)
    lines.push(
      '',
      report.dryRun
        ? 'It would do this in one transaction, and has taken it back:'
        : 'Outside of its own schemas it did this:',
      ...outside.map((line) => `  ${printable(line)}`),
    );
  const missing = report.privileges.filter(({ have }) => !have);
  if (missing.length > 0) {
    lines.push('', 'Without these, the checks that need them say not_permitted or not_installed:');
    for (const { need, steps, purpose, statement } of missing) {
      lines.push(`  ${need}: ${purpose} (step ${steps.join(', ')})`);
      if (statement !== null) lines.push(`    ${printable(statement)}`);
    }
  }
  const absent = Object.entries(report.roles).filter(([, exists]) => !exists);
  if (absent.length > 0) {
    lines.push(
      '',
      'Schema maint is closed to everyone but its owner. To let others read or operate, create the roles and install again:',
      ...absent.map(([role]) => `  create role ${role};`),
    );
  }
  if (report.engine === 'worker') {
    lines.push('', 'This server runs no JavaScript: pg-maint run URL runs the checks from outside.');
  } else if (!report.dryRun) {
    lines.push('', 'Next: select maint.run(force => true);');
  }
  return `${lines.join('\n')}\n`;
}

export function renderUninstall(report: UninstallReport): string {
  if (report.outcome === 'not_installed') {
    return `pg-maint was not installed in database ${printable(report.database)}\n`;
  }
  const owner = pg.escapeIdentifier(report.owner ?? '');
  const roles =
    report.owner === defaultOwner
      ? `role ${owner} is left, a member of ${report.grants.join(', ') || 'no role'}; ` +
        `once no database has pg-maint: drop owned by ${owner}; drop role ${owner};\n`
      : '';
  const dropped = report.droppedDependents.map((each) => `dropped with it: ${printable(each)}\n`).join('');
  return `pg-maint is removed from database ${printable(report.database)}; roles and extensions were left\n${dropped}${roles}`;
}

/** maint.status() */
export interface Status {
  version: string;
  engine: string;
  engine_version: string | null;
  server_version: string;
  schema_version: number;
  enabled: boolean;
  last_run: { run_id: number; status: string; started_at: string; duration_ms: number | null } | null;
  scheduled: boolean;
  next_due_at: string | null;
  running: { pid: number; since: string | null } | null;
  bypasses: { feature: string; reason: string; bypassed_by: string; until: string }[];
  open_findings: { critical: number; warning: number; info: number; muted: number };
  unexamined: { open: number; accepted: number; not_yet: number; chosen: number };
  queued_actions: number;
  problems: { problem: string; detail: string; fix: string }[];
}

function unexaminedText({ open, accepted, not_yet: notYet, chosen }: Status['unexamined']): string {
  const more = open > 0 ? ' (table maint.gaps_brief)' : '';
  return `${open} open, ${accepted} accepted, ${notYet} not known yet, ${chosen} switched off${more}`;
}

export function renderStatus(status: Status): string {
  const { last_run: last, running, open_findings: open } = status;
  const bypasses = status.bypasses.map(
    ({ feature, reason, bypassed_by: by, until }) => `${feature} until ${until}, by ${by}: ${reason}`,
  );
  return renderPairs([
    ['version', `${status.version}, tables ${status.schema_version}`],
    ['engine', [status.engine, status.engine_version].filter(Boolean).join(' ')],
    ['server', status.server_version],
    [
      'last run',
      last ? `${last.run_id}, ${last.status}, ${last.started_at}, ${String(last.duration_ms)} ms` : 'none',
    ],
    [
      'next due',
      status.next_due_at ??
        `never: ${!status.enabled ? 'disabled' : status.scheduled ? 'everything is bypassed' : 'not scheduled'}`,
    ],
    [
      'running',
      running ? `yes, pid ${running.pid}${running.since === null ? '' : ` since ${running.since}`}` : 'no',
    ],
    ['bypassed', bypasses.length === 0 ? 'nothing' : bypasses.map(printable).join('\n')],
    [
      'open findings',
      `${open.critical} critical, ${open.warning} warning, ${open.info} info, ${open.muted} muted`,
    ],
    ['not examined', unexaminedText(status.unexamined)],
    ['queued actions', String(status.queued_actions)],
    ...status.problems.map(({ detail, fix }): [string, string] => [
      'problem',
      `${printable(detail)}\n${printable(fix)}`,
    ]),
  ]);
}

export function renderChanges(changes: readonly ConfigurationChange[]): string {
  if (changes.length === 0) return 'nothing changed\n';
  return changes
    .map(({ path, scope, value }) => {
      const place = scope === 'database' ? '' : ` for ${scope}`;
      return `${printable(`${path}${place} = ${JSON.stringify(value)}`)}\n`;
    })
    .join('');
}
