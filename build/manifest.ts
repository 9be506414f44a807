/** Collects what an installation needs from the source tree: SQL files, step definitions, the dispatcher's body. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../src/worker/manifest.ts';
import { alertPrefix, alertSettings } from '../src/steps/alert-settings.ts';
import { operationalPrefix, operationalSettings } from '../src/steps/operational.ts';
import { safeguardPrefix, safeguardSettings } from '../src/steps/safeguard-settings.ts';
import { steps } from '../src/steps/index.ts';
import { workerPrefix, workerSettings } from '../src/steps/worker-settings.ts';
import type { Setting } from '../src/steps/step.ts';
import { repository } from './paths.ts';

interface SqlFile {
  file: string;
  sql: string;
}

function sqlFiles(folder: string): SqlFile[] {
  const path = join(repository, 'sql', folder);
  // git keeps no folder without a file.
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => name.endsWith('.sql'))
    .sort()
    .map((name) => ({
      file: `${folder}/${name}`,
      sql: readFileSync(join(repository, 'sql', folder, name), 'utf8'),
    }));
}

function migration({ file, sql }: SqlFile): Manifest['migrations'][number] {
  const [, number, name] = /\/(\d{4})_([a-z0-9_]+)\.sql$/.exec(file) ?? [];
  if (number === undefined || name === undefined) {
    throw new Error(`${file}: expected a name such as 0001_foundation.sql`);
  }
  return { number: Number(number), name, sql };
}

function settingRow(path: string, stepNumber: number | null, setting: Setting): Manifest['settings'][number] {
  const range = 'minimum' in setting ? setting : null;
  return {
    path,
    step_number: stepNumber,
    type: setting.type,
    unit: setting.unit ?? null,
    default_value: setting.default as Manifest['settings'][number]['default_value'],
    minimum: range?.minimum ?? null,
    maximum: range?.maximum ?? null,
    choices: 'choices' in setting ? [...setting.choices] : null,
    scoped: setting.scoped ?? false,
    doc: setting.doc,
  };
}

export function makeManifest(
  version: string,
  bodies: Pick<Manifest, 'dispatcherBody' | 'queryRiskBody'>,
): Manifest {
  const content: Omit<Manifest, 'bundleSha256'> = {
    version,
    ...bodies,
    steps: steps.map((step) => ({
      number: step.number,
      name: step.name,
      title: step.title,
      feature: step.feature,
      enabled_path: step.enabledBy && step.feature ? `${step.feature}.${step.enabledBy}` : null,
      action_counts: step.actionCounts ?? {},
      unexamined: step.unexamined,
    })),
    settings: [
      ...Object.entries(operationalSettings).map(([key, setting]) =>
        settingRow(`${operationalPrefix}.${key}`, null, setting),
      ),
      ...Object.entries(workerSettings).map(([key, setting]) =>
        settingRow(`${workerPrefix}.${key}`, null, setting),
      ),
      ...Object.entries(alertSettings).map(([key, setting]) =>
        settingRow(`${alertPrefix}.${key}`, null, setting),
      ),
      ...Object.entries(safeguardSettings).map(([key, setting]) =>
        settingRow(`${safeguardPrefix}.${key}`, null, setting),
      ),
      ...steps.flatMap((step) =>
        Object.entries(step.config).map(([key, setting]) =>
          settingRow(`${String(step.feature)}.${key}`, step.number, setting),
        ),
      ),
    ],
    migrations: sqlFiles('migrations').map(migration),
    routines: [...sqlFiles('internal'), ...sqlFiles('api')],
    privileged: sqlFiles('privileged'),
    views: sqlFiles('views'),
  };
  const bundleSha256 = createHash('sha256').update(JSON.stringify(content)).digest('hex');
  return { ...content, bundleSha256 };
}
