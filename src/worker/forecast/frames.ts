/** Tables of the backtest by danfojs. Imported only where they are made: the library takes a hundred megabytes. */
import { DataFrame } from 'danfojs-node';
import { errorOf } from './backtest.ts';
import type { Case } from './backtest.ts';
import { methods } from './methods.ts';

export interface MethodError {
  group: string;
  method: string;
  cases: number;
  mean_error_days: number;
}

/** The mean error of each method in each group of indexes. */
export function errorTable(cases: readonly Case[]): MethodError[] {
  const rows = cases.flatMap(({ group, predicted, actual }) =>
    methods.flatMap((method, index) => {
      const days = predicted[index];
      return days == null ? [] : [{ group, method: method.name, error: errorOf(days, actual) }];
    }),
  );
  if (rows.length === 0) return [];
  const table = new DataFrame({
    group: rows.map((row) => row.group),
    method: rows.map((row) => row.method),
    error: rows.map((row) => row.error),
  })
    .groupby(['group', 'method'])
    .agg({ error: ['mean', 'count'] });
  return (table.values as [string, string, number, number][]).map(([group, method, mean, count]) => ({
    group,
    method,
    cases: count,
    mean_error_days: Math.round(mean * 1000) / 1000,
  }));
}
