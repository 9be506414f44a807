import { stripVTControlCharacters } from 'node:util';
import test from 'ava';
import pg from 'pg';
import { printable, printableSql } from '../../src/worker/printable.ts';
import { listFindings, renderFindings, renderRun } from '../../src/worker/render.ts';
import type { ShownFinding } from '../../src/worker/render.ts';
import { createDatabase } from '../support/database.ts';
import { hostileNames } from '../support/names.ts';

const finding: ShownFinding = {
  finding_id: 7,
  step: 3,
  kind: 'index.invalid',
  severity: 'warning',
  summary: 'index app.i is invalid',
  remedy: 'drop index concurrently app.i;',
  mended_by: null,
};

const result = {
  run_id: 4,
  status: 'partial',
  duration_ms: 12.5,
  engine: 'worker',
  integrity_check: {
    status: 'unhealthy',
    issue_count: 2,
    checks: { btree: { status: 'unknown', reason: 'not_permitted' } },
  },
  bypass_status: { active: [] },
  cleanup: { invalid_indexes: 0, invalid_indexes_queued: 1 },
  steps: {
    invalid_indexes: { number: 3, status: 'success', duration_ms: 1.2, reason: null, error: null },
    bypass_status: { number: 0, status: 'success', duration_ms: 0.1, reason: null, error: null },
    integrity_check: { number: 1, status: 'success', duration_ms: 3, reason: null, error: null },
    orphaned_indexes: {
      number: 2,
      status: 'failed',
      duration_ms: 2,
      reason: 'failed',
      error: { message: 'oh no' },
    },
  },
  alerts: [{ step: 3, severity: 'warning', message: '1 index is invalid' }],
};

test('a run: steps by number with their main figure or reason, alerts, findings with remedy', (t) => {
  t.is(
    renderRun(result, [finding]),
    `Run 4: partial, 12.5 ms, engine worker

step  name              status    ms
   0  bypass_status     success  0.1  nothing bypassed
   1  integrity_check   success    3  unhealthy, 2 issues, btree not_permitted
   2  orphaned_indexes  failed     2  failed: oh no
   3  invalid_indexes   success  1.2  1 open finding, 1 action queued

Alerts
warning  1 index is invalid

1 open finding
warning  index.invalid #7
  index app.i is invalid
    drop index concurrently app.i;
`,
  );
});

test('colours only where they are asked for', (t) => {
  t.false(renderRun(result, [finding]).includes('\u001b'));
  const coloured = renderRun(result, [finding], { colour: true });
  t.true(coloured.includes('\u001b[33mpartial\u001b[0m'));
  t.is(stripVTControlCharacters(coloured), renderRun(result, [finding]));
});

test('a skipped run is one line', (t) => {
  const skipped = { status: 'skipped', reason: 'not_due', detail: 'later' };
  t.is(renderRun(skipped, []), 'Maintenance was skipped (not_due): later\n');
});

test('a failed run says why', (t) => {
  const failed = {
    run_id: 1,
    status: 'failed',
    duration_ms: 1,
    engine: 'plv8',
    error: { message: 'no\nway' },
  };
  t.regex(renderRun(failed, []), /^Run 1: failed, 1 ms, engine plv8\n {2}no\\nway\n/);
});

test('a dry run shows what it would report', (t) => {
  const { kind, severity, summary, remedy } = finding;
  const would = { kind, severity, summary, remedy };
  const text = renderRun({ ...result, dry_run: true, would_report: [would], would_queue: [] }, []);
  t.regex(text, /^Dry run: partial/);
  t.regex(text, /^warning {2}index.invalid\n {2}index app.i is invalid\n {4}drop index/m);
});

test('nothing that a terminal would obey gets through', (t) => {
  const evil = '\u001b]0;title\u0007 \u009b31m \u202e \u2028 \r\n\t\u0000 end';
  const text = renderRun(
    { ...result, alerts: [{ severity: 'info', message: evil }], error: { message: evil } },
    [{ ...finding, summary: evil, remedy: `select "${evil.replaceAll('\u0000', '')}" ${evil}` }],
  );
  t.notRegex(text, /[^\P{Cc}\n]|[\u2028\u202e]/u);
  t.regex(text, /\\u001B\]0;title\\u0007/);
  t.is(printable('it\'s "fine" größe 🐘 \\ back'), 'it\'s "fine" größe 🐘 \\ back');
});

test('a remedy with hostile names still means the same to the server', async (t) => {
  const database = await createDatabase(t);
  const names = [...hostileNames, 'bell\u0007', 'esc\u001b[31m "q"\n\\', '\u202eright to left'];
  for (const name of names) {
    const sql = `select ${pg.escapeLiteral(name)} as ${pg.escapeIdentifier(name)}, '${name.replaceAll("'", "''")}' as plain`;
    const safe = printableSql(sql);
    t.notRegex(safe, /[\p{Cc}\u202e]/u, name);
    t.deepEqual(await database.query(safe), [{ [name]: name, plain: name }], safe);
  }
  t.is(printableSql('select 1\n  from "a b";'), 'select 1\n  from "a b";');
});

test('a finding that an action has mended says so instead of its remedy', (t) => {
  const text = renderFindings([{ ...finding, mended_by: 12 }]);
  t.regex(text, /^warning {2}index\.invalid #7 {2}mended by action 12$/m);
  t.notRegex(text, /drop index/);
});

test('findings listed are open and not muted, the worst first', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    insert into maint.finding (finding_key, run_id, step_number, kind, severity, summary, detail, first_seen, last_seen,
        resolved_at) values
      ('a', 1, 3, 'k', 'info', 'least', '{}', now(), now(), null), ('b', 1, 3, 'k', 'critical', 'worst', '{}', now(), now(), null),
      ('c', 1, 3, 'k', 'critical', 'muted', '{}', now(), now(), null), ('d', 1, 3, 'k', 'critical', 'gone', '{}', now(), now(), now());
    insert into maint.finding_mute (finding_key, reason, until) values ('c', 'x', 'infinity')`);
  const listed = await listFindings(await database.client());
  t.deepEqual(
    listed.map(({ summary }) => summary),
    ['worst', 'least'],
  );
  t.is(listed[0]?.finding_id, 2);
});
