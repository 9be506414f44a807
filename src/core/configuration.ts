/** Turns the settings that a run reads once into the typed configuration of each step and object. */
import { matchesWildcards, wildcardsOfExpression } from './wildcards.ts';
import type { ConfigOf, Json, ObjectName, Settings, Step } from '../steps/step.ts';

/** A setting of a narrower scope than the database. The server made the regular expressions from the scope. */
export interface ScopedSetting {
  path: string;
  level: 'schema' | 'table' | 'index';
  schema_regex: string;
  object_regex: string | null;
  value: Json;
}

export interface SettingsSnapshot {
  /** Path -> value that holds for the database. */
  database: Record<string, Json>;
  /** Widest first, so that the last match wins. */
  scoped: readonly ScopedSetting[];
}

function settingPath(step: Pick<Step, 'feature'>, key: string): string {
  if (step.feature === null) throw new Error('a step without a feature has no settings');
  return `${step.feature}.${key}`;
}

export function configOf(step: Step, settings: SettingsSnapshot): Record<string, Json> {
  return Object.fromEntries(
    Object.keys(step.config).map((key) => {
      const value = settings.database[settingPath(step, key)];
      if (value === undefined) throw new Error(`no value for setting ${settingPath(step, key)}`);
      return [key, value];
    }),
  );
}

function matches(setting: ScopedSetting, object: ObjectName): boolean {
  const name =
    setting.level === 'table' ? object.table : setting.level === 'index' ? object.index : undefined;
  if (!matchesWildcards(wildcardsOfExpression(setting.schema_regex), object.schema)) return false;
  if (setting.object_regex === null) return true;
  return name !== undefined && matchesWildcards(wildcardsOfExpression(setting.object_regex), name);
}

/** The configuration of a step as it holds for one object. */
export function configForObject<All extends Settings>(
  step: Step,
  settings: SettingsSnapshot,
  object: ObjectName,
): ConfigOf<All> {
  const config = configOf(step, settings);
  for (const key of Object.keys(step.config)) {
    const path = settingPath(step, key);
    for (const setting of settings.scoped) {
      if (setting.path === path && matches(setting, object)) config[key] = setting.value;
    }
  }
  return config as ConfigOf<All>;
}
