/** Runs the checks on each fixture and compares what they find with the labels. */
import { steps } from '../../src/steps/index.ts';
import type { TestDatabase } from '../support/database.ts';
import { run } from '../support/maintenance.ts';
import { loadCorpus, makeFixture } from './fixtures.ts';
import type { Fixture, Scope } from './fixtures.ts';
import { identityOf, shownIdentity } from './labels.ts';

export interface KindScore {
  kind: string;
  /** Labelled as found, or by name as not to be found. */
  labelled: number;
  truePositives: number;
  falsePositives: number;
  falseNegatives: number;
}

export interface Score {
  /** One for each kind that a step declares, or that was found. */
  kinds: KindScore[];
  /** All labelled objects, those that must give nothing at all, and fixtures. */
  objects: number;
  clean: number;
  fixtures: number;
  /** Fixtures that need a newer server. */
  leftOut: string[];
  /** What is wrong, one line each. */
  mistakes: string[];
}

interface OpenFinding {
  kind: string;
  schema_name: string | null;
  table_name: string | null;
  object_name: string | null;
  application: string | null;
  gid: string | null;
  catalog: string | null;
}

/** Kinds whose object is a constraint, which is unique in its table only. */
const ofConstraints = /^(fk\.|integrity\.(constraint|foreign_key)_)/;

function identity(finding: OpenFinding): string | null {
  const { kind, schema_name: schema, table_name: table, object_name: object } = finding;
  if (schema === null) {
    if (finding.gid !== null) return identityOf(['prepared', finding.gid]);
    if (finding.catalog !== null) return identityOf(['catalog', finding.catalog]);
    if (kind.startsWith('integrity.') && object !== null) return identityOf(['database', object]);
    return finding.application === null ? null : identityOf(['session', finding.application]);
  }
  const shownSchema = /^pg_temp_\d+$/.test(schema) ? 'pg_temp' : schema;
  const name = object ?? table ?? '';
  return identityOf(ofConstraints.test(kind) ? [shownSchema, table ?? '', name] : [shownSchema, name]);
}

/** Sessions of fixtures bear this in their name; others belong to tests that run beside. */
const corpusSession = /^(session|prepared)\ncorpus[ _]/;

/** What has to be labelled: every index, foreign key and materialized view but those of the system and of pg-maint. */
const objectsQuery = `
  select coalesce(substring(n.nspname from '^pg_temp'), n.nspname) as schema, null as "table", c.relname as name
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  where c.relkind in ('i', 'I', 'm')
    and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'maint', 'maint_boss') and n.nspname !~ '^pg_toast'
  union all
  select coalesce(substring(n.nspname from '^pg_temp'), n.nspname), c.relname, k.conname
  from pg_constraint as k
  join pg_class as c on c.oid = k.conrelid
  join pg_namespace as n on n.oid = c.relnamespace
  where k.contype = 'f' and n.nspname not in ('maint', 'maint_boss')
    -- A referenced partition gives the key another row, named by the server: no object of its own.
    and not exists (select from pg_constraint as p where p.oid = k.conparentid and p.conrelid = k.conrelid)
  order by 1, 2, 3`;

async function unlabelled(database: TestDatabase, fixture: Fixture): Promise<string[]> {
  const objects = await database.query<{ schema: string; table: string | null; name: string }>(objectsQuery);
  const labelled = new Set(fixture.labels.map(({ object }) => object));
  const present = objects.map(({ schema, table, name }) =>
    identityOf(table === null ? [schema, name] : [schema, table, name]),
  );
  return [...new Set(present)].filter((object) => !labelled.has(object));
}

async function openFindings(database: TestDatabase): Promise<OpenFinding[]> {
  return await database.query<OpenFinding>(
    `select kind, schema_name, table_name, object_name, detail ->> 'application' as application, detail ->> 'gid' as gid,
       detail ->> 'catalog' as catalog
     from maint.findings where resolved_at is null order by finding_id`,
  );
}

class Tally {
  readonly kinds = new Map<string, KindScore>();
  readonly mistakes: string[] = [];

  of(kind: string): KindScore {
    const found = this.kinds.get(kind);
    if (found) return found;
    const fresh = { kind, labelled: 0, truePositives: 0, falsePositives: 0, falseNegatives: 0 };
    this.kinds.set(kind, fresh);
    return fresh;
  }

  compare(fixture: Fixture, findings: readonly OpenFinding[]): void {
    const must = new Map<string, Set<string>>();
    for (const { type, kind, object } of fixture.labels) {
      if (kind === null) continue;
      this.of(kind).labelled += 1;
      if (type === 'must') must.set(kind, (must.get(kind) ?? new Set()).add(object));
    }
    const seen = new Set<string>();
    for (const finding of findings) {
      const object = identity(finding);
      if (object === null || (/^(session|prepared)\n/.test(object) && !corpusSession.test(object))) continue;
      const key = `${finding.kind} ${object}`;
      const expected = must.get(finding.kind)?.has(object) === true && !seen.has(key);
      seen.add(key);
      if (expected) this.of(finding.kind).truePositives += 1;
      else {
        this.of(finding.kind).falsePositives += 1;
        this.mistakes.push(`${fixture.name}: ${finding.kind} for ${shownIdentity(object)} is wrong`);
      }
    }
    for (const [kind, objects] of must) {
      for (const object of objects) {
        if (seen.has(`${kind} ${object}`)) continue;
        this.of(kind).falseNegatives += 1;
        this.mistakes.push(`${fixture.name}: ${kind} for ${shownIdentity(object)} is missing`);
      }
    }
  }
}

/** Judges the whole corpus. `scope` is told what to clean up; `wanted` keeps to some fixtures. */
export async function scoreCorpus(
  scope: Scope,
  wanted: (name: string) => boolean = () => true,
): Promise<Score> {
  const tally = new Tally();
  const score: Score = { kinds: [], objects: 0, clean: 0, fixtures: 0, leftOut: [], mistakes: [] };
  for (const fixture of (await loadCorpus()).filter(({ name }) => wanted(name))) {
    const database = await makeFixture(scope, fixture);
    if (!database) {
      score.leftOut.push(fixture.name);
      continue;
    }
    for (const object of await unlabelled(database, fixture))
      tally.mistakes.push(`${fixture.name}: ${shownIdentity(object)} has no label`);
    const result = await run(database);
    for (const [step, { status, error, reason, coverage }] of Object.entries(result.steps)) {
      // The corpus has neither every extension nor a worker: what is missing is named, and nothing may have failed.
      if (status !== 'success' && !(status === 'partial' && coverage))
        tally.mistakes.push(`${fixture.name}: ${step} is ${status}: ${error?.message ?? reason ?? ''}`);
    }
    tally.compare(fixture, await openFindings(database));
    const objects = new Set(fixture.labels.map(({ object }) => object));
    const found = new Set(fixture.labels.filter(({ type }) => type === 'must').map(({ object }) => object));
    score.objects += objects.size;
    score.clean += objects.size - found.size;
    score.fixtures += 1;
  }
  for (const kind of steps.flatMap(({ kinds }) => kinds)) tally.of(kind);
  score.kinds = [...tally.kinds.values()].sort((a, b) => (a.kind < b.kind ? -1 : 1));
  score.mistakes = tally.mistakes;
  return score;
}

/** Null where nothing was found, or nothing was to be found: no share of nothing. */
export function precision({ truePositives, falsePositives }: KindScore): number | null {
  const found = truePositives + falsePositives;
  return found === 0 ? null : truePositives / found;
}

export function recall({ truePositives, falseNegatives }: KindScore): number | null {
  const wanted = truePositives + falseNegatives;
  return wanted === 0 ? null : truePositives / wanted;
}

export function isPerfect(score: Score): boolean {
  return score.mistakes.length === 0;
}

export function share(value: number | null): string {
  if (value === null) return '-';
  // Rounded down: 0.9996 is not 1.000.
  return (Math.floor(value * 1000) / 1000).toFixed(3);
}

/** The scoreboard as text. */
export function scoreboard(score: Score): string {
  const rows = score.kinds.map((one) => [
    one.kind,
    String(one.labelled),
    String(one.truePositives),
    String(one.falsePositives),
    String(one.falseNegatives),
    share(precision(one)),
    share(recall(one)),
  ]);
  const head = ['kind', 'labelled', 'right', 'wrong', 'missed', 'precision', 'recall'];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ');
  return [
    line(head),
    ...rows.map(line),
    '',
    `${score.objects} labelled objects in ${score.fixtures} fixtures, of which ${score.clean} must give nothing`,
    ...score.leftOut.map((name) => `left out: ${name} (needs a newer server)`),
    ...score.mistakes,
  ].join('\n');
}
