/** The settings below operational.worker and operational.safeguards as they hold now. */
import type pg from 'pg';
import { safeguardPrefix } from '../steps/safeguard-settings.ts';
import type { Json } from '../steps/step.ts';
import { queryRow } from './connection.ts';
import type { SafeguardConfig } from './safeguards/safeguard.ts';

export interface WorkerConfig {
  lock_timeout: number;
  build_lock_timeout: number;
  wait_for_transactions: number;
  patience: number;
  analyze_timeout: number;
  build_timeout: number;
  attempts: number;
}

/** What an action is told: read once, as it begins. */
export interface ActionSettings {
  worker: WorkerConfig;
  /** Below operational.safeguards, without that prefix. */
  safeguards: SafeguardConfig;
}

export async function actionSettings(client: pg.ClientBase): Promise<ActionSettings> {
  const { settings } = await queryRow<{ settings: Record<string, Json> }>(
    client,
    `select maint.settings_snapshot() -> 'database' as settings`,
  );
  const below = (prefix: string): Record<string, Json> =>
    Object.fromEntries(
      Object.entries(settings).flatMap(([path, value]) =>
        path.startsWith(`${prefix}.`) ? [[path.slice(prefix.length + 1), value]] : [],
      ),
    );
  return {
    worker: below('operational.worker') as unknown as WorkerConfig,
    safeguards: below(safeguardPrefix),
  };
}

export async function workerConfig(client: pg.ClientBase): Promise<WorkerConfig> {
  return (await actionSettings(client)).worker;
}
