/**
 * Lets the server judge what pg-maint finds on a schema: each finding of redundant, unused and missing indexes and of
 * mismatched types by plan, uniqueness and key before and after its remedy; then all remedies together, and the next run.
 */
import type pg from 'pg';
import type { Random } from '../property/random.ts';
import { foreignKeys, plan, searches, shareRead, stillUnique, uniques } from './served.ts';
import type { ForeignKey, Plan, Search } from './served.ts';
import { use } from './workload.ts';

export const judgedKinds = [
  'index.redundant',
  'index.unused',
  'fk.unindexed',
  'integrity.foreign_key_type_mismatch',
] as const;

/**
 * Through an index that has more columns or rows a search costs more. Too low calls a wider keeper false, too high lets a
 * keeper pass through which most of the table is read.
 */
const costGrowth = 4;
/** Below this many cost units the pages of the index itself decide, not what it serves. */
const costFloor = 30;

/** A key that reads less than this share of its table through an index is served. */
const servedShare = 0.5;

export interface Verdicts {
  kind: string;
  found: number;
  remedies: number;
  /** What is wrong with each false one. */
  wrong: string[];
}

export interface Judgement {
  kinds: Verdicts[];
  /** Of all remedies together, and of the run after them. */
  together: string[];
  /** Keys that no index serves and no finding names. */
  missed: string[];
  searches: number;
  foreignKeys: number;
  uniques: number;
}

interface Finding {
  finding_id: string;
  kind: string;
  severity: string;
  schema_name: string;
  table_name: string;
  object_name: string;
  table: string;
  summary: string;
  remedy: string | null;
  difference: string | null;
  covered_by_oid: string | null;
}

async function findings(client: pg.Client): Promise<Finding[]> {
  const { rows } = await client.query<Finding>(
    `select finding_id, kind, severity, schema_name, table_name, object_name, summary, remedy,
       detail ->> 'difference' as difference, detail ->> 'covered_by_oid' as covered_by_oid,
       pg_catalog.format('%I.%I', schema_name, table_name)::regclass::text as table
     from maint.findings where resolved_at is null and kind = any ($1) order by finding_id`,
    [judgedKinds],
  );
  return rows;
}

async function statementsOf(client: pg.Client, { finding_id }: Finding): Promise<string[]> {
  const { rows } = await client.query<{ statement: string }>(
    'select statement from maint.remedy($1) as r (statement)',
    [finding_id],
  );
  return rows.map(({ statement }) => statement);
}

function run(client: pg.Client): Promise<unknown> {
  return client.query(
    `select maint.run(true, '{integrity_check,unused_indexes,redundant_indexes,foreign_keys}')`,
  );
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What a search has lost, or null. */
function lost(before: Plan, after: Plan): string | null {
  if (!before.indexed) return null;
  if (!after.indexed) return 'no index serves it';
  return after.cost > Math.max(before.cost * costGrowth, costFloor)
    ? `cost ${before.cost} became ${after.cost}`
    : null;
}

interface Known {
  search: Search;
  before: Plan;
}

/** All that was served when the findings were made. */
interface Before {
  searches: Known[];
  workload: ReadonlySet<string>;
  keys: { key: ForeignKey; share: number }[];
  uniques: Awaited<ReturnType<typeof uniques>>;
}

async function look(client: pg.Client, all: readonly Search[], ran: readonly Search[]): Promise<Before> {
  const known: Known[] = [];
  for (const search of all) {
    try {
      known.push({ search, before: await plan(client, search.text) });
    } catch {
      // An operator that takes nothing of the kind: no search to lose.
    }
  }
  const keys = [];
  for (const key of await foreignKeys(client)) keys.push({ key, share: await shareRead(client, key) });
  return {
    searches: known,
    workload: new Set(ran.map(({ text }) => text)),
    keys,
    uniques: await uniques(client),
  };
}

/** In a transaction that is undone: what the remedy of one finding breaks. */
async function tryAlone(client: pg.Client, finding: Finding, before: Before): Promise<string[]> {
  const wrong: string[] = [];
  await client.query('begin');
  try {
    for (const statement of await statementsOf(client, finding))
      await client.query(statement.replace(/ concurrently/i, ''));
    // A column of a new type has no statistics.
    if (finding.kind === 'integrity.foreign_key_type_mismatch')
      await client.query(`analyze ${finding.table}`);
    await client.query('savepoint done');
    // plan() has a transaction of its own elsewhere: here its beginning and end are those of the savepoint.
    const within = asSavepoint(client);
    const name = indexNamed(finding);
    const searched = before.searches.filter(({ search, before: { indexes } }) =>
      finding.kind === 'index.unused'
        ? before.workload.has(search.text) && indexes.includes(finding.object_name)
        : finding.kind === 'index.redundant' &&
          (search.index === name || indexes.includes(finding.object_name)),
    );
    for (const { search, before: then } of searched) {
      const loss = lost(then, await plan(within, search.text));
      if (loss !== null) wrong.push(`${search.text}: ${loss}`);
    }
    for (const { key, share } of before.keys.filter(
      ({ key: { table_name: table } }) => table === finding.table,
    )) {
      const now = await shareRead(within, key);
      if (share < servedShare && now >= servedShare) wrong.push(`the key ${key.name} is no longer served`);
      if (
        finding.kind === 'fk.unindexed' &&
        key.constraint_name === finding.object_name &&
        now >= servedShare
      )
        wrong.push(`the remedy does not serve the key: ${key.text}`);
    }
    const after = await uniques(client);
    for (const one of before.uniques.filter(({ table_name: table }) => table === finding.table))
      if (!stillUnique(one, after)) wrong.push(`${one.index} was unique, and nothing is in its place`);
  } catch (error) {
    wrong.push(`the remedy fails: ${message(error)}`);
  } finally {
    await client.query('rollback');
  }
  return wrong;
}

/** The statements of plan() with the transaction's words turned into those of a savepoint. */
function asSavepoint(client: pg.Client): pg.ClientBase {
  const query = (text: string): unknown =>
    client.query(text === 'rollback' ? 'rollback to savepoint done' : text.replace(/^begin; /, ''));
  return Object.assign(Object.create(client) as pg.ClientBase, { query });
}

function indexNamed({ table, object_name: name }: Finding): string {
  const quoted = /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
  const place = table.lastIndexOf('.');
  return place < 0 ? quoted : `${table.slice(0, place)}.${quoted}`;
}

/** Whether the finding says the truth about the state it was made in. */
async function isTrue(client: pg.Client, finding: Finding, before: Before): Promise<string[]> {
  if (finding.kind === 'fk.unindexed') {
    const found = before.keys.find(
      ({ key }) => key.constraint_name === finding.object_name && key.table_name === finding.table,
    );
    if (found === undefined) return ['there is no such key'];
    return finding.severity !== 'info' && found.share < servedShare
      ? [`an index serves it, ${(100 * found.share).toFixed(1)} % of the table is read: ${found.key.text}`]
      : [];
  }
  if (finding.kind === 'index.redundant' && finding.difference === 'fewer_rows')
    return await onlyItsRows(client, finding);
  if (finding.kind === 'integrity.foreign_key_type_mismatch' && finding.severity !== 'info')
    return await mismatch(client, finding);
  return [];
}

/** Beside a unique index on the same key a partial one is there for a search by its predicate alone, which no other serves. */
async function onlyItsRows(client: pg.Client, finding: Finding): Promise<string[]> {
  const { rows } = await client.query(
    `select from pg_catalog.pg_index as k join pg_catalog.pg_index as i on i.indrelid = k.indrelid
     where k.indexrelid = $1::oid and i.indexrelid = $2::regclass and k.indisunique and not i.indisunique
       and k.indnkeyatts = i.indnkeyatts`,
    [finding.covered_by_oid, indexNamed(finding)],
  );
  return rows.length === 0 ? [] : ['its keeper is unique on the same key: it is there for its predicate'];
}

const widths: Record<string, number> = { int2: 2, int4: 4, int8: 8, numeric: 100 };

/** A warning is due where values may not fit, or where the key's own query can't use an index for want of equal types. */
async function mismatch(client: pg.Client, finding: Finding): Promise<string[]> {
  const { rows } = await client.query<{ own: string; own_length: number; far: string; far_length: number }>(
    `select a.atttypid::regtype::text as own, a.atttypmod as own_length, r.atttypid::regtype::text as far, r.atttypmod as far_length
     from pg_catalog.pg_constraint as k
     join rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) as p (attnum, referenced) on true
     join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = p.attnum
     join pg_catalog.pg_attribute as r on r.attrelid = k.confrelid and r.attnum = p.referenced
     where k.conrelid = $1::regclass and k.conname = $2`,
    [finding.table, finding.object_name],
  );
  const names: Record<string, string> = { smallint: 'int2', integer: 'int4', bigint: 'int8' };
  const width = (type: string): number | undefined => widths[names[type] ?? type];
  const harmless = rows.every(({ own, own_length, far, far_length }) => {
    const [ownWidth, farWidth] = [width(own), width(far)];
    if (ownWidth !== undefined && farWidth !== undefined) return ownWidth >= farWidth;
    const texts = ['text', 'character varying'];
    if (texts.includes(own) && texts.includes(far))
      return own_length === -1 || (far_length !== -1 && own_length >= far_length);
    return own === far && own_length === far_length;
  });
  return harmless ? [`all values fit and compare: ${JSON.stringify(rows)}`] : [];
}

async function indexOids(client: pg.Client): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ oid: string }>(
    'select indexrelid::text as oid from pg_catalog.pg_index order by 1',
  );
  return new Set(rows.map(({ oid }) => oid));
}

/** All remedies as they stand, in random order, then what they left. */
async function applyAll(
  client: pg.Client,
  all: readonly Finding[],
  before: Before,
  random: Random,
): Promise<string[]> {
  const wrong: string[] = [];
  const indexesBefore = await indexOids(client);
  const statements = new Map<Finding, string[]>();
  for (const finding of all) statements.set(finding, await statementsOf(client, finding));
  for (const finding of random.sample(all, all.length)) {
    for (const statement of statements.get(finding) ?? []) {
      try {
        await client.query(statement);
      } catch (error) {
        wrong.push(
          `${finding.kind} ${finding.table} ${finding.object_name}: ${statement} fails: ${message(error)}`,
        );
      }
    }
  }
  await client.query('vacuum (analyze)');
  const unused = new Set(all.filter(({ kind }) => kind === 'index.unused').map(indexNamed));
  for (const { search, before: then } of before.searches) {
    if (unused.has(search.root) && !before.workload.has(search.text)) continue;
    const loss = lost(then, await plan(client, search.text).catch(() => then));
    if (loss !== null) wrong.push(`all applied: ${search.index}: ${search.text}: ${loss}`);
  }
  const remedied = new Set(
    all
      .filter(({ kind, remedy }) => kind === 'fk.unindexed' && remedy !== null)
      .map(({ table, object_name: name }) => `${table} ${name}`),
  );
  for (const { key, share } of before.keys) {
    const served = share < servedShare || remedied.has(`${key.table_name} ${key.constraint_name}`);
    if (served && (await shareRead(client, key)) >= servedShare)
      wrong.push(`all applied: the key ${key.name} is not served: ${key.text}`);
  }
  const after = await uniques(client);
  for (const one of before.uniques)
    if (!stillUnique(one, after))
      wrong.push(`all applied: ${one.index} was unique, and nothing is in its place`);
  await run(client);
  const known = new Set(all.map(({ kind, table, object_name: name }) => `${kind} ${table} ${name}`));
  for (const finding of await findings(client)) {
    const { kind, table, object_name: name, remedy, summary } = finding;
    // What a remedy has built may serve the searches of a smaller partial index as well: a notice that is new by right.
    const besideNew = finding.difference === 'fewer_rows' && !indexesBefore.has(finding.covered_by_oid ?? '');
    // A key that an index finds few rows for on a part of its columns, once one that nobody used is gone: told, and nothing to do.
    if (besideNew || (finding.severity === 'info' && remedy === null)) continue;
    const again = known.has(`${kind} ${table} ${name}`);
    if (again && remedy === null) continue;
    wrong.push(`the next run ${again ? 'still' : 'newly'} has ${kind} ${table} ${name}: ${summary}`);
  }
  return wrong;
}

/** Runs pg-maint on a filled database and judges it. The database is not as it was afterwards. */
export async function judge(client: pg.Client, random: Random, usedShare = 0.6): Promise<Judgement> {
  await client.query(`select maint.configure('features.index_cleanup.days_unused', '0'),
    maint.configure('features.index_cleanup.min_scans', '1'),
    maint.configure('features.foreign_key_suggestions.interval', '0')`);
  const all = await searches(client);
  const ran = await use(client, all, random, usedShare);
  await run(client);
  const found = await findings(client);
  const before = await look(client, all, ran);
  const kinds: Verdicts[] = [];
  for (const kind of judgedKinds) {
    const mine = found.filter((finding) => finding.kind === kind);
    const wrong: string[] = [];
    for (const finding of mine) {
      const reasons = await isTrue(client, finding, before);
      if (finding.remedy !== null) reasons.push(...(await tryAlone(client, finding, before)));
      if (reasons.length > 0)
        wrong.push(`${finding.severity} ${finding.table} ${finding.object_name}: ${reasons.join('; ')}`);
    }
    kinds.push({
      kind,
      found: mine.length,
      remedies: mine.filter(({ remedy }) => remedy !== null).length,
      wrong,
    });
  }
  const named = new Set(
    found
      .filter(({ kind }) => kind === 'fk.unindexed')
      .map(({ table, object_name: name }) => `${table} ${name}`),
  );
  const missed = before.keys
    .filter(
      ({ key, share }) => share >= servedShare && !named.has(`${key.table_name} ${key.constraint_name}`),
    )
    .map(({ key }) => `${key.name}: ${key.text}`);
  return {
    kinds,
    together: await applyAll(client, found, before, random),
    missed,
    searches: before.searches.length,
    foreignKeys: before.keys.length,
    uniques: before.uniques.length,
  };
}

export function isPerfect({ kinds, together, missed }: Judgement): boolean {
  return kinds.every(({ wrong }) => wrong.length === 0) && together.length === 0 && missed.length === 0;
}
