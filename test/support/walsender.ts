/** Standbys as far as the server can tell: physical walsenders that report a snapshot, or how far they have replayed. */
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import type { TestDatabase } from './database.ts';
import { waitForRow } from './maintenance.ts';

interface CopyStream {
  sendCopyFromChunk(chunk: Buffer): void;
  stream: { destroy(): void };
}

/** Streams from now on, through a slot where one is named, and reports the next transaction id as its oldest. */
export async function connectStandby(
  t: ExecutionContext,
  database: TestDatabase,
  application: string,
  slot?: string,
): Promise<number> {
  const [row] = await database.query<{ lsn: string; xid: string }>(
    'select pg_catalog.pg_current_wal_flush_lsn()::text as lsn, pg_catalog.pg_current_xact_id()::text as xid',
  );
  const { lsn, xid } = row!;
  const client = new pg.Client({
    connectionString: database.url,
    application_name: application,
    replication: 'true',
  } as pg.ClientConfig);
  client.on('error', () => undefined);
  await client.connect();
  const { connection } = client as unknown as { connection: CopyStream };
  t.teardown(() => {
    connection.stream.destroy();
  });
  void client
    .query(`START_REPLICATION ${slot === undefined ? '' : `SLOT ${slot} `}PHYSICAL ${lsn}`)
    .catch(() => undefined);
  const streaming = 'select from pg_catalog.pg_stat_replication where application_name = $1';
  await waitForRow(database, `${streaming} and state in ('streaming', 'catchup')`, [application]);

  // Byte 'h', time, xmin and its epoch, catalog xmin and its epoch.
  const feedback = Buffer.alloc(25);
  feedback.write('h');
  feedback.writeUInt32BE(Number(BigInt(xid) & 0xffff_ffffn), 9);
  feedback.writeUInt32BE(Number(BigInt(xid) >> 32n), 13);
  connection.sendCopyFromChunk(feedback);
  if (slot === undefined) {
    await waitForRow(database, `${streaming} and backend_xmin is not null`, [application]);
  } else {
    await waitForRow(
      database,
      'select from pg_catalog.pg_replication_slots where slot_name = $1 and xmin is not null',
      [slot],
    );
  }
  const [sender] = await database.query<{ pid: number }>(
    'select pid from pg_catalog.pg_stat_replication where application_name = $1',
    [application],
  );
  return sender!.pid;
}

/** Receives WAL as a standby does, and reports how far it has replayed it; as an archiver does without that. Returns what ends it. */
export async function receiveWal(
  database: TestDatabase,
  name: string,
  replays: boolean,
): Promise<() => Promise<void>> {
  const [{ lsn } = {}] = await database.query<{ lsn: string }>(
    'select pg_current_wal_flush_lsn()::text as lsn',
  );
  const client = new pg.Client({
    connectionString: database.url,
    application_name: name,
    replication: 'true',
  } as pg.ClientConfig);
  client.on('error', () => undefined);
  await client.connect();
  const { connection } = client as unknown as { connection: CopyStream };
  void client.query(`START_REPLICATION PHYSICAL ${lsn!}`).catch(() => undefined);
  const known = 'select from pg_stat_replication where application_name = $1';
  await waitForRow(database, `${known} and state in ('streaming', 'catchup')`, [name]);
  const [high, low] = lsn!.split('/').map((half) => parseInt(half, 16));
  // Byte 'r', three positions (written, flushed, replayed), time, and whether a reply is wanted.
  const status = Buffer.alloc(34);
  status.write('r');
  for (const offset of replays ? [1, 9, 17] : [1, 9]) {
    status.writeUInt32BE(high!, offset);
    status.writeUInt32BE(low!, offset + 4);
  }
  connection.sendCopyFromChunk(status);
  await waitForRow(database, `${known} and ${replays ? 'replay_lsn' : 'flush_lsn'} is not null`, [name]);
  return async () => {
    connection.stream.destroy();
    await waitForRow(database, `select where not exists (${known})`, [name]);
  };
}
