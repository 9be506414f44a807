/** The contract of a bench. */
import type { Server } from './database.ts';

export interface BenchOptions {
  /** Only to see that it works: its figures say little. */
  short: boolean;
}

export interface Bench {
  name: string;
  title: string;
  measure(server: Server, options: BenchOptions): Promise<void>;
}
