/** Replication slots that hold back vacuum, and slots that make the server keep WAL: a dead one fills the disk. */
import type { HoldingSlot } from '../../catalog/replication.ts';
import type { Finding, Severity } from '../step.ts';

export interface SlotLimits {
  /** Seconds. */
  stale_after: number;
  xmin_age_limit: number;
  /** Megabytes. */
  retained_wal_limit: number;
}

const bytesPerMegabyte = 1024 * 1024;

/** Too low mentions a standby that restarts; too high hides a dead slot of a quiet server until it is large. */
const mentionedMegabytes = 64;

/** The disk is the limit, and nobody knows how large it is: early costs a message, late costs the server. */
const criticalFactor = 10;

/** Whether nobody reads from it, and not only for the moment of a restart. Before PostgreSQL 17 the time is not known. */
function isAbandoned({ active, inactive_seconds }: HoldingSlot, { stale_after }: SlotLimits): boolean {
  return !active && (inactive_seconds === null || inactive_seconds >= stale_after);
}

/**
 * How bad the WAL is that a slot retains; null where it is nothing to mention. Up to max_wal_size the server keeps as much
 * for itself (`reserved`). What is read from may be behind for a while.
 */
export function walSeverity(slot: HoldingSlot, limits: SlotLimits): Severity | null {
  const { wal_status: status, active, safe_wal_bytes: safe } = slot;
  if (status === 'lost') return 'warning';
  // The next checkpoint removes what its reader still needs.
  if (status === 'unreserved') return 'critical';
  const retained = slot.retained_wal_bytes ?? 0;
  const limit = limits.retained_wal_limit * bytesPerMegabyte;
  if (active) return retained >= limit * criticalFactor ? 'warning' : null;
  if (retained >= limit * criticalFactor) return 'critical';
  if (retained >= limit) return 'warning';
  if (!isAbandoned(slot, limits)) return null;
  if (status === 'extended') return 'warning';
  const isHalfUsed = safe !== null && retained >= safe;
  if (retained < mentionedMegabytes * bytesPerMegabyte) return null;
  return isHalfUsed ? 'warning' : 'info';
}

function walText(slot: HoldingSlot): string {
  const { wal_status: status, retained_wal: retained, max_slot_wal_keep_size: max } = slot;
  if (status === 'lost')
    return 'is lost: the server removed WAL that its reader needs, and the reader cannot continue';
  if (status === 'unreserved')
    return `retains ${retained ?? 'no'} of WAL, more than max_slot_wal_keep_size (${max}), and loses it at the next checkpoint`;
  const bound =
    max === '-1' ? 'without a limit (max_slot_wal_keep_size is -1)' : `up to max_slot_wal_keep_size (${max})`;
  return `makes the server retain ${retained ?? 'no'} of WAL, ${bound}`;
}

/** The finding about a slot; null where it holds nothing worth one. */
export function slotFinding(kind: string, slot: HoldingSlot, limits: SlotLimits): Finding | null {
  const age = Math.max(slot.xmin_age ?? 0, slot.catalog_xmin_age ?? 0);
  const knowsAge = slot.xmin_age !== null || slot.catalog_xmin_age !== null;
  const holdsVacuum = slot.holds_vacuum && knowsAge && age >= limits.xmin_age_limit;
  const wal = walSeverity(slot, limits);
  if (!holdsVacuum && wal === null) return null;
  const since = slot.inactive_since === null ? '' : ` since ${slot.inactive_since}`;
  const use = slot.active
    ? `which ${slot.consumer === null || slot.consumer === '' ? `process ${slot.active_pid ?? ''}` : slot.consumer} reads from`
    : `which no session has read from${since}`;
  const effects = [
    ...(wal === null ? [] : [walText(slot)]),
    ...(holdsVacuum ? [`holds back vacuum by ${age} transactions`] : []),
  ];
  return {
    kind,
    severity: wal === 'critical' ? 'critical' : wal === 'info' && !holdsVacuum ? 'info' : 'warning',
    schema: null,
    table: null,
    object: slot.name,
    discriminator: JSON.stringify([null, 'replication_slot']),
    summary: `Replication slot ${slot.quoted}, ${use}, ${effects.join(', and ')}.`,
    detail: {
      reason: 'replication_slot',
      holds: [...(wal === null ? [] : ['wal']), ...(holdsVacuum ? ['vacuum'] : [])],
      slot_type: slot.type,
      plugin: slot.plugin,
      active: slot.active,
      active_pid: slot.active_pid,
      inactive_since: slot.inactive_since,
      consumer: slot.consumer,
      xmin_age: slot.xmin_age,
      catalog_xmin_age: slot.catalog_xmin_age,
      wal_status: slot.wal_status,
      retained_wal_bytes: slot.retained_wal_bytes,
      safe_wal_bytes: slot.safe_wal_bytes,
      max_slot_wal_keep_size: slot.max_slot_wal_keep_size,
      blockers: [],
      victims: [],
    },
    // One in use can't be dropped: what holds it is a query or a delay of its reader.
    remedy: slot.active ? null : slot.drop,
  };
}
