/** Which indexes to make for the keys of a database that none serves: one for several keys where its leading columns are theirs. */
import type { UnservedForeignKey } from './unserved-foreign-keys.ts';

/** What to make for one key, or which other key's index serves it as well. */
export type KeyPlan = { columns: readonly string[] } | { servedBy: UnservedForeignKey };

interface Planned {
  key: UnservedForeignKey;
  columns: readonly string[];
}

function hasAll(columns: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every((column) => columns.includes(column));
}

/** The columns in an order in which those of smaller keys of the table come first. */
function orderFor(key: UnservedForeignKey, siblings: readonly UnservedForeignKey[]): readonly string[] {
  // The index of a partitioned table is made of many statements, in which the key has its own order.
  if (key.partitioned) return key.index_columns;
  const [inner] = siblings
    .filter(
      ({ index_columns: columns }) =>
        columns.length < key.index_columns.length && hasAll(key.index_columns, columns),
    )
    .sort((a, b) => b.index_columns.length - a.index_columns.length);
  if (inner === undefined) return key.index_columns;
  const first = orderFor(inner, siblings);
  return [...first, ...key.index_columns.filter((column) => !first.includes(column))];
}

/** Keys without a remedy are left out; what is made for one may serve others of the same table. */
export function planKeys(keys: readonly UnservedForeignKey[]): Map<UnservedForeignKey, KeyPlan> {
  const plans = new Map<UnservedForeignKey, KeyPlan>();
  const byTable = new Map<string, UnservedForeignKey[]>();
  for (const key of keys.filter(({ remedy }) => remedy !== null)) {
    const group = `${key.oid} ${key.method}`;
    byTable.set(group, [...(byTable.get(group) ?? []), key]);
  }
  for (const siblings of byTable.values()) {
    const planned: Planned[] = [];
    const longestFirst = [...siblings].sort((a, b) => b.index_columns.length - a.index_columns.length);
    for (const key of longestFirst) {
      const serving = planned.find(({ columns }) =>
        hasAll(columns.slice(0, key.index_columns.length), key.index_columns),
      );
      if (serving) {
        plans.set(key, { servedBy: serving.key });
        continue;
      }
      const columns = orderFor(key, siblings);
      planned.push({ key, columns });
      plans.set(key, { columns });
    }
  }
  return plans;
}
