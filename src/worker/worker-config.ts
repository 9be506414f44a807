/** The settings below operational.worker as they hold now. */
import type pg from 'pg';
import { queryRow } from './connection.ts';

export interface WorkerConfig {
  lock_timeout: number;
  build_lock_timeout: number;
  wait_for_transactions: number;
  patience: number;
  attempts: number;
}

export async function workerConfig(client: pg.ClientBase): Promise<WorkerConfig> {
  const { config } = await queryRow<{ config: WorkerConfig }>(
    client,
    `select pg_catalog.jsonb_object_agg(pg_catalog.substr(s.key, pg_catalog.length('operational.worker.') + 1), s.value)
       as config
     from pg_catalog.jsonb_each(maint.settings_snapshot() -> 'database') as s
     where s.key like 'operational.worker.%'`,
  );
  return config;
}
