/** Tables with indexes, each in a schema of its own, and what step 10 must say of them. */

export interface Case {
  what: string;
  statements: string[];
  /** Index to drop -> the one that covers it. What is not here must not be reported. */
  redundant: Record<string, string>;
}

export const columns =
  'a int not null, b int, c text, d varchar(20), e int[], f int4range, g point, h jsonb, i boolean';

/** `indexes`: what follows `create`, as in `index x on t (a)`; other statements as they are. */
export function onTable(what: string, redundant: Record<string, string>, ...indexes: string[]): Case {
  const statements = indexes.map((text) => (/^(unique )?index /.test(text) ? `create ${text}` : text));
  return { what, statements: [`create table t (${columns})`, ...statements], redundant };
}

export const partitioned = [
  'create table t (a int not null, b int, c text) partition by range (a)',
  'create table t1 partition of t for values from (0) to (10)',
  'create table t2 partition of t for values from (10) to (20) partition by range (b)',
  'create table t21 partition of t2 for values from (0) to (10)',
];
