/**
 * Foreign keys whose referring column cannot hold every referenced value, or whose comparison can use no index on it. A
 * wider referring column is harmless. The remedy changes the referring column only: a change of the referenced one would
 * make a mismatch of every other key that refers to it.
 */
import type { IntegrityCheck } from './check.ts';
import { integrityKind, wholeReport } from './check.ts';
import { obstaclesText, obstaclesTo } from './alter-type-obstacles.ts';
import { differingKeys, isRewritten, problemOf } from './key-column-pairs.ts';
import type { ColumnPair, DifferingKey, Problem } from './key-column-pairs.ts';
import type { Finding, Severity } from '../step.ts';

interface ProblemPair extends ColumnPair {
  problem: Problem;
}

/** A key with the pairs that matter. */
interface MismatchedKey extends DifferingKey {
  pairs: ProblemPair[];
}

/** Text without a limit is rarely as long as it may be, so that a limit on the referring side mostly does no harm. */
const severities: Record<Problem, Severity> = {
  narrower: 'warning',
  not_indexable: 'warning',
  time_zone: 'warning',
  shorter: 'info',
};

function problemText(key: DifferingKey, pair: ProblemPair): string {
  const own = `column ${pair.quoted_column} (${pair.type})`;
  const referenced = `${key.quoted_referenced} (${pair.referenced_type})`;
  switch (pair.problem) {
    case 'narrower':
      return `${own} cannot hold every value of the column it references in ${referenced}`;
    case 'shorter':
      return `${own} is limited, and the column it references in ${referenced} is not`;
    case 'not_indexable':
      return `${own} is cast for the comparison with ${referenced}, so the server cannot use an index on it`;
    case 'time_zone':
      return `whether ${own} equals the column it references in ${referenced} depends on the time zone of the session`;
  }
}

interface Fix {
  remedy: string | null;
  /** Why there is no remedy. */
  obstacles: string[];
  rewrite: boolean;
}

function fixOf(key: MismatchedKey, obstacles: ReadonlyMap<string, readonly string[]>): Fix {
  const found = key.pairs.flatMap((pair) => {
    if (pair.problem === 'time_zone') return ['the conversion depends on the time zone'];
    return (obstacles.get(`${key.relation}.${pair.attnum}`) ?? []).map((each) =>
      key.pairs.length > 1 ? `column ${pair.quoted_column}: ${each}` : each,
    );
  });
  const changes = key.pairs.map(
    ({ quoted_column, target, collation }) => `alter column ${quoted_column} type ${target}${collation}`,
  );
  return {
    remedy: found.length > 0 ? null : `alter table ${key.quoted_table} ${changes.join(', ')};`,
    obstacles: found,
    rewrite: key.pairs.some(isRewritten),
  };
}

const name = 'foreign_key_type_mismatch';

function mismatchFinding(key: MismatchedKey, fix: Fix): Finding {
  const severity = key.pairs.some(({ problem }) => severities[problem] === 'warning') ? 'warning' : 'info';
  const worst = key.pairs.find(({ problem }) => severities[problem] === severity);
  const cost = fix.rewrite
    ? `The remedy rewrites ${key.quoted_table} and blocks all access to it meanwhile (ACCESS EXCLUSIVE lock).`
    : `The remedy takes an ACCESS EXCLUSIVE lock on ${key.quoted_table} while the key is checked; the table is not rewritten.`;
  const consequence = fix.remedy === null ? `No automatic fix: ${obstaclesText(fix.obstacles)}.` : cost;
  return {
    kind: integrityKind(name),
    severity,
    schema: key.schema,
    table: key.table,
    object: key.constraint,
    summary: `Foreign key ${key.quoted_constraint} of ${key.quoted_table}: ${worst ? problemText(key, worst) : ''}. ${consequence}`,
    detail: {
      columns: key.pairs.map(({ column, type, referenced_column, referenced_type, problem }) => ({
        column,
        type,
        referenced_column,
        referenced_type,
        problem,
      })),
      ...(fix.remedy === null
        ? { obstacles: fix.obstacles }
        : { lock: 'ACCESS EXCLUSIVE', rewrite: fix.rewrite }),
    },
    remedy: fix.remedy,
  };
}

export const foreignKeyTypeMismatch: IntegrityCheck = {
  name,
  title: 'Foreign keys whose column types differ',
  *look() {
    const { total, keys } = yield* differingKeys();
    const mismatched = keys.flatMap((key): MismatchedKey[] => {
      const pairs = key.pairs.flatMap((pair) => {
        const problem = problemOf(pair);
        return problem === null ? [] : [{ ...pair, problem }];
      });
      return pairs.length === 0 ? [] : [{ ...key, pairs }];
    });
    const obstacles = yield* obstaclesTo(
      mismatched.flatMap(({ relation, pairs }) =>
        pairs.map(({ attnum, referenced_base: { oid, modifier } }) => ({
          relation,
          attnum,
          target: oid,
          modifier,
        })),
      ),
    );
    return wholeReport(
      total,
      mismatched.map((key) => mismatchFinding(key, fixOf(key, obstacles))),
    );
  },
};
