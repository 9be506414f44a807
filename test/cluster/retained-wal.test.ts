/** Replication slots by the WAL that they retain: a server of its own, as WAL and slots are the whole server's. */
import test from 'ava';
import type pg from 'pg';
import { ownCluster } from './own-cluster.ts';
import { run } from '../support/maintenance.ts';
import { databaseOf } from '../support/database.ts';

interface Found {
  severity: string;
  summary: string;
  remedy: string | null;
  detail: Record<string, unknown>;
}

/** The finding about the slot after a run of step 5. */
async function found(client: pg.Client, slot: string): Promise<Found | undefined> {
  await run(databaseOf(client), { only: ['stale_operations'] });
  const { rows } = await client.query<Found>(
    `select severity, summary, remedy, detail from maint.findings
     where kind = 'operation.stale' and object_name = $1 and resolved_at is null`,
    [slot],
  );
  return rows[0];
}

/** Each segment is 16 MB of WAL, mostly empty. */
async function writeSegments(client: pg.Client, count: number): Promise<void> {
  for (let segment = 0; segment < count; segment += 1) {
    await client.query(`select pg_logical_emit_message(false, 'wal', 'x')`);
    await client.query('select pg_switch_wal()');
  }
}

async function configure(client: pg.Client, setting: string, value: number): Promise<void> {
  await client.query('select maint.configure($1, $2)', [
    `features.stale_operations.${setting}`,
    String(value),
  ]);
}

test('a slot that no session reads from is found by the WAL that it retains, and gone when dropped', async (t) => {
  const cluster = await ownCluster(t, { max_wal_size: '1GB' });
  const client = await cluster.connect();
  await configure(client, 'stale_after', 0);
  await client.query(`select pg_create_physical_replication_slot('never')`);
  await client.query(`select pg_create_physical_replication_slot('dead', true)`);
  t.is(await found(client, 'dead'), undefined, 'it retains next to nothing');
  t.is(await found(client, 'never'), undefined);

  await writeSegments(client, 5);
  const mentioned = await found(client, 'dead');
  t.is(mentioned?.severity, 'info');
  t.is(mentioned?.detail['wal_status'], 'reserved');
  t.deepEqual(mentioned?.detail['holds'], ['wal']);
  t.regex(mentioned!.summary, /retain .* MB of WAL, without a limit/);

  await configure(client, 'retained_wal_limit', 50);
  t.is((await found(client, 'dead'))?.severity, 'warning');
  await configure(client, 'retained_wal_limit', 5);
  t.is((await found(client, 'dead'))?.severity, 'critical');

  const dead = await found(client, 'dead');
  await client.query(dead!.remedy!);
  t.is(await found(client, 'dead'), undefined);
  t.is(await found(client, 'never'), undefined, 'it retains nothing');
  await configure(client, 'stale_after', 600);
  await client.query(`select pg_create_physical_replication_slot('young', true)`);
  await configure(client, 'retained_wal_limit', 1024);
  await writeSegments(client, 5);
  const { rows } = await client.query<{ known: boolean }>(
    `select to_jsonb(s) ? 'inactive_since' as known from pg_replication_slots as s where slot_name = 'young'`,
  );
  t.is((await found(client, 'young'))?.severity, rows[0]!.known ? undefined : 'info');
});

test('a slot beyond max_slot_wal_keep_size is critical before it is lost, and its reader cannot continue after', async (t) => {
  const cluster = await ownCluster(t, {
    max_slot_wal_keep_size: '128MB',
    max_wal_size: '32MB',
    min_wal_size: '32MB',
    checkpoint_timeout: '1h',
  });
  const client = await cluster.connect();
  await configure(client, 'stale_after', 0);
  await client.query('checkpoint');
  await client.query(`select pg_create_physical_replication_slot('dead', true)`);
  await writeSegments(client, 5);
  const extended = await found(client, 'dead');
  t.is(extended?.detail['wal_status'], 'extended');
  t.is(extended?.severity, 'warning');
  t.is(extended!.detail['max_slot_wal_keep_size'], '128MB');
  await writeSegments(client, 8);
  await client.query('checkpoint');
  await client.query('checkpoint');
  const lost = await found(client, 'dead');
  t.is(lost?.detail['wal_status'], 'lost');
  t.regex(lost!.summary, /is lost/);
  await client.query(lost!.remedy!);
  t.is(await found(client, 'dead'), undefined);
});
