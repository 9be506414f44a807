/** The command `pg-maint export`: what models and forecasts are made of, for a data scientist to check. */
import { Argument, Option } from 'commander';
import type { Command } from 'commander';
import type pg from 'pg';
import { featureNames } from '../../catalog/query-risk/feature-names.ts';
import { readHistory } from '../forecast/forecast-job.ts';
import { configOf, readSamples, splitByTime } from '../ml/query-risk-job.ts';
import { listGaps, openGaps } from '../gaps.ts';
import { printable } from '../printable.ts';
import { addConnectionOptions, jsonOption, printJson, targetOf, withInstallation } from './command.ts';
import type { CommandHost, ConnectionFlags } from './command.ts';

type Cell = string | number | boolean | null;
type Row = Record<string, Cell>;

/** A field as RFC 4180 has it; null is empty. */
export function csvField(value: Cell): string {
  const text = value === null ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** With a head, and lines that end as on Unix. */
export function toCsv(columns: readonly string[], rows: readonly Row[]): string {
  return [columns, ...rows.map((row) => columns.map((column) => row[column] ?? null))]
    .map((line) => `${line.map(csvField).join(',')}\n`)
    .join('');
}

export const toJsonLines = (rows: readonly Row[]): string =>
  rows.map((row) => `${JSON.stringify(row)}\n`).join('');

interface Exported {
  columns: string[];
  rows: Row[];
}

/** The samples that the next training would see, oldest first. `held_out` ones are those it would be judged by. */
async function exportTraining(client: pg.Client): Promise<Exported> {
  const { slow_ms: slowMs, window_days: days } = await configOf(client);
  const samples = await readSamples(client, days);
  const held = new Set(splitByTime(samples).held);
  return {
    columns: [
      ...['text_id', 'group', 'measured_from', 'measured_to', 'held_out', 'calls', 'mean_ms', 'slow', 'cost'],
      ...featureNames,
    ],
    rows: samples.map((sample) => ({
      text_id: sample.text_id,
      group: sample.group,
      measured_from: sample.from,
      measured_to: sample.to,
      held_out: held.has(sample),
      calls: sample.calls,
      mean_ms: sample.mean_ms,
      slow: sample.mean_ms > slowMs,
      cost: sample.cost,
      ...Object.fromEntries(featureNames.map((name, index) => [name, sample.features[index] ?? null])),
    })),
  };
}

/** The measured history that the next forecast would be made from. */
async function exportForecast(client: pg.Client): Promise<Exported> {
  const history = await readHistory(client);
  return {
    columns: ['index_id', 'schema', 'table', 'index', 'measured_at', 'bloat_percent', 'rebuilt'],
    rows: history.flatMap(({ usage_id, schema, table, index, points }) =>
      points.map(({ day, bloat, rebuilt }) => ({
        index_id: usage_id,
        schema,
        table,
        index,
        measured_at: new Date(day * 86_400_000).toISOString(),
        bloat_percent: bloat,
        rebuilt,
      })),
    ),
  };
}

/** The steps whose gaps make the exported data incomplete. */
const stepsOf = { training: ['pattern_learning', 'train_query_risk'], forecast: ['index_health'] } as const;

const sets = { training: exportTraining, forecast: exportForecast } as const;

export function addExportCommand(program: Command, { output }: CommandHost): void {
  addConnectionOptions(program.command('export'))
    .addArgument(new Argument('<set>', 'what to print').choices(Object.keys(sets)))
    .argument('[database]')
    .addOption(
      new Option('--format <format>', 'as comma-separated values or as JSON lines')
        .choices(['csv', 'jsonl'])
        .default('csv'),
    )
    .addOption(jsonOption().conflicts('format'))
    .description(
      'print what the query-risk model or the forecasts are made of; needs the rights of the owner',
    )
    .action(
      async (
        set: keyof typeof sets,
        database: string | undefined,
        flags: ConnectionFlags & { format: 'csv' | 'jsonl'; json: boolean },
      ) => {
        const { columns, rows, gaps } = await withInstallation(targetOf(database, flags), async (client) => ({
          ...(await sets[set](client)),
          gaps: openGaps(await listGaps(client)),
        }));
        const steps: readonly string[] = stepsOf[set];
        for (const { step, what, reason } of gaps.filter((gap) => steps.includes(gap.step)))
          output.writeError(`pg-maint: not complete: ${printable(`${step}: ${what} (${reason})`)}\n`);
        if (flags.json) printJson(output, rows);
        else output.write(flags.format === 'csv' ? toCsv(columns, rows) : toJsonLines(rows));
      },
    );
}
