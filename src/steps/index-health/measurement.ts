/** What every way of measuring gives, however it measures. */
import type { Program } from '../../core/program.ts';

export type Method =
  | 'sampled_pages'
  | 'all_pages'
  | 'pgstatindex'
  | 'pgstathashindex'
  | 'statistics'
  /** A BRIN index is as large as its table makes it. */
  | 'no_bloat'
  /** Nothing but what a new index has. */
  | 'empty';

export interface Measurement {
  ok: true;
  method: Method;
  /** 100 × (1 − size after a REINDEX ÷ size now), and the interval that holds it in 19 of 20 cases. */
  bloatPercent: number;
  low: number;
  high: number;
  leafDensity: number | null;
  /** Pages of the index that were read for it. */
  pagesRead: number;
  milliseconds: number;
}

export interface Unmeasured {
  ok: false;
  /** Why, for people. */
  reason: string;
}

export type Measured = Measurement | Unmeasured;

/** What a measurement may be told of an index; sizes in pages of the server. */
export interface MeasuredIndex {
  oid: number;
  /** Schema and name as SQL needs them. */
  quoted: string;
  pages: number;
  /** Percent, of leaf pages. */
  fillfactor: number;
  unique: boolean;
  /** The storage parameter deduplicate_items. */
  deduplicates: boolean;
  /** Share of its entries whose rows are dead and not yet vacuumed away, and how far off that may be. */
  deadShare: number;
  deadShareError: number;
  /** Rows of its table were deleted or updated since anyone counts. */
  churned: boolean;
  /** Percent: what the verdict will compare with. */
  threshold: number;
}

/** Pages that a run may still read, and the moment (of `clock`) at which it stops. */
export interface Budget {
  pages: number;
  deadline: number;
}

export interface Surroundings {
  /** ISO 8601: the seed of samples. */
  now: string;
  blockSize: number;
  budget: Budget;
}

/** Measures indexes in the order given until the budget is used up; those it did not come to are not in the map. */
export type Measure = (
  indexes: readonly MeasuredIndex[],
  surroundings: Surroundings,
) => Program<Map<number, Measured>>;

/** Half the width of an interval: how far off it may be. */
export const errorPoints = ({ low, high }: Pick<Measurement, 'low' | 'high'>): number => (high - low) / 2;
