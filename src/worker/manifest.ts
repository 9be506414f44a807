/** What an installation consists of, as build/bundle.ts writes it to build/out/sql/manifest.json. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Json, JsonObject } from '../steps/step.ts';
import { CouldNotRun } from './errors.ts';

export interface Manifest {
  version: string;
  /** Of everything else in here: tells whether two installations of one version are the same. */
  bundleSha256: string;
  /** Body of maint.dispatch(request jsonb), the same for plv8 and maint_v8. */
  dispatcherBody: string;
  /** Body of maint.query_risk(query text). */
  queryRiskBody: string;
  steps: {
    number: number;
    name: string;
    title: string;
    feature: string | null;
    enabled_path: string | null;
    action_counts: Record<string, string>;
    unexamined: JsonObject;
  }[];
  settings: {
    path: string;
    step_number: number | null;
    type: 'boolean' | 'integer' | 'number' | 'text' | 'list';
    unit: string | null;
    default_value: Json;
    minimum: number | null;
    maximum: number | null;
    choices: string[] | null;
    scoped: boolean;
    doc: string;
  }[];
  /** Applied in this order, each once. */
  migrations: { number: number; name: string; sql: string }[];
  /** One function a file, `internal/…` then `api/…`; created with check_function_bodies off. */
  routines: { file: string; sql: string }[];
  /** One function of schema maint_privileged a file, created by a superuser alone: `create function maint_privileged.name…`. */
  privileged: { file: string; sql: string }[];
  /** One view a file: `create or replace view`. */
  views: { file: string; sql: string }[];
}

/**
 * Reads the manifest when it is needed: beside the program as it is shipped (build/out/worker/pg-maint.js), or from
 * where the build puts it when the sources run (src/worker/manifest.ts). Not imported, so that a new manifest needs no
 * new program and the sources load before there is one.
 */
export function readManifest(): Manifest {
  const places = ['../sql/manifest.json', '../../build/out/sql/manifest.json'];
  const file = places.map((place) => join(import.meta.dirname, place)).find((path) => existsSync(path));
  if (file === undefined) {
    throw new CouldNotRun('the file manifest.json, which says what to install, is missing', 'npm run build');
  }
  return JSON.parse(readFileSync(file, 'utf8')) as Manifest;
}
