/** Step 5: how bad the WAL is that a replication slot retains. */
import test from 'ava';
import type { HoldingSlot } from '../../src/catalog/replication.ts';
import type { Severity } from '../../src/steps/step.ts';
import { slotFinding, walSeverity } from '../../src/steps/stale-operations/replication-slots.ts';

const limits = { stale_after: 600, xmin_age_limit: 1000, retained_wal_limit: 1024 };
const megabyte = 1024 * 1024;

function slot(changes: Partial<HoldingSlot>): HoldingSlot {
  return {
    name: 's',
    quoted: "'s'",
    type: 'physical',
    plugin: null,
    active: false,
    active_pid: null,
    inactive_since: null,
    inactive_seconds: null,
    consumer: null,
    holds_vacuum: true,
    xmin_age: null,
    catalog_xmin_age: null,
    wal_status: 'reserved',
    retained_wal_bytes: 0,
    retained_wal: '0 bytes',
    safe_wal_bytes: null,
    max_slot_wal_keep_size: '-1',
    drop: "select pg_drop_replication_slot('s');",
    ...changes,
  };
}

const cases: [string, Partial<HoldingSlot>, Severity | null][] = [
  ['retains nothing', {}, null],
  ['has never reserved WAL', { wal_status: null, retained_wal_bytes: null }, null],
  ['retains less than is worth a word', { retained_wal_bytes: 63 * megabyte }, null],
  ['retains a little', { retained_wal_bytes: 64 * megabyte }, 'info'],
  ['was left a minute ago', { retained_wal_bytes: 640 * megabyte, inactive_seconds: 60 }, null],
  ['was left an hour ago', { retained_wal_bytes: 640 * megabyte, inactive_seconds: 3600 }, 'info'],
  [
    'retains more than max_wal_size',
    { retained_wal_bytes: 100 * megabyte, wal_status: 'extended' },
    'warning',
  ],
  [
    'has used half of max_slot_wal_keep_size',
    { retained_wal_bytes: 100 * megabyte, safe_wal_bytes: 99 * megabyte },
    'warning',
  ],
  ['passes the limit', { retained_wal_bytes: 1024 * megabyte, inactive_seconds: 0 }, 'warning'],
  ['passes ten times the limit', { retained_wal_bytes: 10_240 * megabyte }, 'critical'],
  ['is about to lose WAL', { wal_status: 'unreserved' }, 'critical'],
  ['is about to lose WAL in use', { wal_status: 'unreserved', active: true }, 'critical'],
  ['is lost', { wal_status: 'lost', retained_wal_bytes: null }, 'warning'],
  [
    'is read from, and behind',
    { retained_wal_bytes: 9000 * megabyte, active: true, wal_status: 'extended' },
    null,
  ],
  ['is read from, and far behind', { retained_wal_bytes: 10_240 * megabyte, active: true }, 'warning'],
];

for (const [what, changes, severity] of cases) {
  test(`a slot that ${what}: ${severity ?? 'no finding'}`, (t) => {
    t.is(walSeverity(slot(changes), limits), severity);
    t.is(slotFinding('operation.stale', slot(changes), limits)?.severity ?? null, severity);
  });
}

test('a slot that holds back vacuum and retains WAL is one finding that says both', (t) => {
  const finding = slotFinding(
    'operation.stale',
    slot({
      xmin_age: 5000,
      retained_wal_bytes: 2048 * megabyte,
      retained_wal: '2 GB',
      inactive_since: '2026-01-01T00:00:00+00:00',
    }),
    limits,
  );
  t.deepEqual(finding!.detail['holds'], ['wal', 'vacuum']);
  t.regex(
    finding!.summary,
    /no session has read from since 2026-01-01\S*, makes the server retain 2 GB of WAL, without a limit .*, and holds back vacuum by 5000 transactions\.$/,
  );
});

test('a slot in use has no remedy', (t) => {
  t.is(slotFinding('operation.stale', slot({ active: true, xmin_age: 5000 }), limits)!.remedy, null);
});
