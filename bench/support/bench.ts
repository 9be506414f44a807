/** The contract of a bench. */
import type { Server } from './database.ts';

export interface Bench {
  name: string;
  title: string;
  measure(server: Server): Promise<void>;
}
