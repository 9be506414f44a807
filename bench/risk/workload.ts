/** Executes the templates for real and takes what pg_stat_statements counted, in two spans of time. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { explainQuery, explainRead } from '../../src/catalog/query-risk/explain.ts';
import { readQuery } from '../../src/catalog/query-risk/query-text.ts';
import { runAsync } from '../../src/core/drivers.ts';
import { connectionHost } from '../../src/worker/host.ts';
import { Random } from '../../test/property/random.ts';
import { processorTime } from '../support/processor.ts';
import type { Draw } from './tables.ts';
import type { Template } from './template.ts';
import { templates } from './templates.ts';

/** A statement as pg_stat_statements tells it apart, in one span of time. */
export interface Observed {
  span: number;
  template: string;
  control: boolean;
  queryid: string;
  /** As a client sends it, with other constants for each number; none that it was executed with. */
  withOthers: (number: number) => string;
  features: number[];
  /** Of the plan for the constants it was last executed with, as maint.query_risk has them. */
  own: number[] | null;
  cost: number;
  calls: number;
  mean_ms: number;
  /** The planner's cost with these constants, for comparison: what no history of statements knows. */
  cost_with_constants: number | null;
}

export interface Workload {
  observed: Observed[];
  statements: number;
  templates: number;
  executions: number;
  /** Statements the server refused, by SQLSTATE; and those whose normalised text could not be planned. */
  refused: Record<string, number>;
  notPlanned: Record<string, number>;
}

/** Statements of each control template. */
const fewestOfControl = 12;

/** A statement that takes longer is given up, and is not counted by pg_stat_statements. */
const longest = '10s';

/** What a statement is comes from one seed, its constants from another. */
function drawFrom(shape: number, constants: number): Draw {
  const forShape = new Random(shape);
  const forConstants = new Random(constants);
  return {
    int: (least, most) => least + forConstants.below(most - least + 1),
    pick: (values) => forShape.pick(values),
  };
}

/** Constants from here on were in no statement that was executed. */
const othersFrom = 1_000_003;

interface Statement {
  template: Template;
  shape: number;
}

export async function loadSchema(client: pg.Client, scale: number): Promise<void> {
  const text = readFileSync(join(import.meta.dirname, 'schema.sql'), 'utf8').replaceAll(
    ':scale',
    String(scale),
  );
  await client.query(text);
  await client.query('vacuum analyze');
}

/** What happens to the data between the two spans: a tenth more, and other customers in front. */
async function goOn(client: pg.Client, scale: number): Promise<void> {
  await client.query('set statement_timeout = 0');
  await client.query(`
    insert into orders select n, 1 + ((${40_000 * scale} - 1) * power(random(), 2))::int, 'new',
        timestamptz '2025-08-01' + n * interval '1 minute', null, 100 + n % 400, 'app', null
      from generate_series(${150_000 * scale} + 1, ${165_000 * scale}) as n;
    insert into event select n, 1 + n / 8, null, 'click', timestamptz '2026-04-01' + n * interval '3 seconds',
        jsonb_build_object('page', '/q/' || n % 90), 1
      from generate_series(${400_000 * scale} + 1, ${440_000 * scale}) as n;
    delete from ticket where id % 9 = 0`);
  await client.query('vacuum analyze');
  await client.query(`set statement_timeout = '${longest}'`);
}

async function execute(client: pg.Client, text: string, writes: boolean): Promise<string | null> {
  if (writes) await client.query('begin');
  try {
    await client.query(text);
    return null;
  } catch (error) {
    return (error as { code?: string }).code ?? 'unknown';
  } finally {
    if (writes) await client.query('rollback');
  }
}

interface Counted {
  queryid: string;
  query: string;
  calls: number;
  mean_ms: number;
}

/** The one statement that was counted since the last reset. */
async function counted(client: pg.Client): Promise<Counted[]> {
  const { rows } = await client.query<Counted>(`
    select queryid::text, query, calls::int, mean_exec_time as mean_ms from pg_stat_statements
    where dbid = (select oid from pg_database where datname = current_database()) and toplevel
      and query !~ 'pg_stat_statements|^(begin|rollback|BEGIN|ROLLBACK)'`);
  return rows;
}

export async function features(
  client: pg.Client,
  text: string,
): Promise<{ features: number[]; cost: number } | { problem: string; sqlstate?: string; message?: string }> {
  await client.query('begin');
  try {
    return await runAsync(explainQuery(text), connectionHost(client));
  } finally {
    await client.query('rollback');
  }
}

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

export interface WorkloadOptions {
  perTemplate: number;
  executions: number;
  scale: number;
  seed: number;
  /**
   * What a statement took: on the wall, as pg_stat_statements has it, or of the processor by the server process's count, for
   * a machine that has other things to do.
   */
  clock: 'wall' | 'processor';
}

/** What the planner says of the text as it is: its cost, and the features with its constants. */
async function ownPlanOf(client: pg.Client, text: string): Promise<{ cost: number; own: number[] | null }> {
  await client.query('begin');
  try {
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: { 'Total Cost': number } }] }>(
      `explain (format json) ${text}`,
    );
    const cost = rows[0]?.['QUERY PLAN'][0].Plan['Total Cost'];
    const read = readQuery(text);
    if (cost === undefined || 'problem' in read) throw new Error(`not planned: ${text}`);
    const explained = await runAsync(explainRead(read), connectionHost(client));
    return { cost, own: 'own' in explained ? explained.own : null };
  } finally {
    await client.query('rollback');
  }
}

/**
 * Runs every statement `executions` times in each of two spans, with other constants each time and in another order.
 * A statement's features are of the moment before its span begins, from the text that pg_stat_statements keeps.
 */
export async function runWorkload(client: pg.Client, options: WorkloadOptions): Promise<Workload> {
  const refused: Record<string, number> = {};
  const notPlanned: Record<string, number> = {};
  await client.query(`set statement_timeout = '${longest}'`);
  const known = new Map<string, { statement: Statement; text: string }>();
  for (const [number, template] of templates.entries()) {
    // Few templates: as many statements as it takes for a figure of their own.
    const draws = template.control ? Math.max(options.perTemplate, fewestOfControl) : options.perTemplate;
    for (let draw = 0; draw < draws; draw += 1) {
      const shape = options.seed + number * 1000 + draw;
      await client.query('select pg_stat_statements_reset()');
      const problem = await execute(client, template.make(drawFrom(shape, shape)), template.writes ?? false);
      if (problem !== null) refused[problem] = (refused[problem] ?? 0) + 1;
      const [row] = problem === null ? await counted(client) : [];
      if (row && !known.has(row.queryid))
        known.set(row.queryid, { statement: { template, shape }, text: row.query });
    }
  }
  const observed: Observed[] = [];
  let executions = 0;
  for (const span of [0, 1]) {
    if (span === 1) await goOn(client, options.scale);
    const planned = new Map<string, { features: number[]; cost: number }>();
    for (const [queryid, { text }] of known) {
      const plan = await features(client, text);
      if ('features' in plan) planned.set(queryid, plan);
      else if (span === 0) {
        const why = `${plan.problem} ${plan.sqlstate ?? ''}`;
        notPlanned[why] = (notPlanned[why] ?? 0) + 1;
      }
    }
    await client.query('select pg_stat_statements_reset()');
    const raw = new Map<string, string>();
    const processor = new Map<string, number[]>();
    const next = new Random(options.seed + span);
    for (let round = 0; round < options.executions; round += 1) {
      const order = [...known].map((each) => ({ each, at: next.next() })).sort((a, b) => a.at - b.at);
      for (const { each } of order) {
        const [queryid, { statement }] = each;
        const text = statement.template.make(
          drawFrom(statement.shape, statement.shape + 7919 * (1 + round + span * options.executions)),
        );
        const problems: (string | null)[] = [];
        const spent = await processorTime(client, async () => {
          problems.push(await execute(client, text, statement.template.writes ?? false));
        });
        executions += 1;
        if (problems[0] !== null) continue;
        raw.set(queryid, text);
        processor.set(queryid, [...(processor.get(queryid) ?? []), spent]);
      }
    }
    for (const row of await counted(client)) {
      const of = known.get(row.queryid);
      const plan = planned.get(row.queryid);
      const text = raw.get(row.queryid);
      if (!of || !plan || text === undefined) continue;
      const asSent = span === 1 ? await ownPlanOf(client, text) : null;
      observed.push({
        span,
        template: of.statement.template.name,
        control: of.statement.template.control ?? false,
        queryid: row.queryid,
        withOthers: (number) =>
          of.statement.template.make(drawFrom(of.statement.shape, of.statement.shape + othersFrom + number)),
        ...plan,
        calls: row.calls,
        mean_ms: options.clock === 'wall' ? row.mean_ms : meanOf(processor.get(row.queryid) ?? []),
        own: asSent?.own ?? null,
        cost_with_constants: asSent?.cost ?? null,
      });
    }
  }
  const names = new Set(observed.map(({ template }) => template));
  return { observed, statements: known.size, templates: names.size, executions, refused, notPlanned };
}
