/** What a template is: one kind of statement that a program sends, of which a seed makes many. */
import type { Draw } from './tables.ts';

export interface Template {
  name: string;
  make(draw: Draw): string;
  /** Changes or locks rows: it is executed in a transaction that is rolled back. */
  writes?: true;
  /** See control-templates.ts. */
  control?: true;
}

export function template(name: string, make: (draw: Draw) => string, writes = false): Template {
  return writes ? { name, make, writes } : { name, make };
}

export const writing = (name: string, make: (draw: Draw) => string): Template => template(name, make, true);
