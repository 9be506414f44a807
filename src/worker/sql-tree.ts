/** From the parse tree of one statement to what of it matters here. */
import type {
  ParsedStatement,
  QueryBlock,
  RelationUse,
  StatementCounts,
  Verb,
} from '../catalog/parsed-statement.ts';
import {
  as,
  comparisonOf,
  field,
  isTree,
  list,
  nameParts,
  relationOf,
  sortColumns,
  text,
  typed,
} from './sql-nodes.ts';
import type { Tree } from './sql-nodes.ts';

/** Built-in aggregates that the grammar does not mark as such. */
const aggregates = new Set(
  'count sum avg min max array_agg string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg bool_and bool_or every bit_and bit_or stddev stddev_pop stddev_samp variance var_pop var_samp corr'.split(
    ' ',
  ),
);

const verbs: Record<string, Verb> = {
  SelectStmt: 'select',
  InsertStmt: 'insert',
  UpdateStmt: 'update',
  DeleteStmt: 'delete',
  MergeStmt: 'merge',
};

class TreeReader {
  readonly blocks: QueryBlock[] = [];
  readonly setColumns = new Set<string>();
  target: RelationUse | null = null;
  /** Of a WITH that changes rows. */
  writingVerb: Verb | null = null;
  readonly counts: StatementCounts = {
    relations: 0,
    joins: 0,
    outer_joins: 0,
    conditions: 0,
    disjunctions: 0,
    subqueries: 0,
    with_queries: 0,
    set_operations: 0,
    aggregates: 0,
    window_functions: 0,
    groupings: 0,
    sorts: 0,
    distincts: 0,
    limits: 0,
    function_calls: 0,
    like_conditions: 0,
    row_locks: 0,
  };

  /** A statement that may stand in WITH or at the top; false where it is none of these. */
  statement(node: Tree, outerNames: ReadonlySet<string>): Verb | null {
    const [type, body] = typed(node);
    const verb = verbs[type];
    if (verb === undefined) return null;
    if (verb === 'select') {
      if (body['intoClause'] !== undefined) return null;
      this.select(body, outerNames);
    } else {
      this.change(verb, body, outerNames);
    }
    return verb;
  }

  /** Names of the WITH queries that hold inside, after reading them. */
  #withQueries(body: Tree, outerNames: ReadonlySet<string>): ReadonlySet<string> {
    const clause = field(body, 'withClause');
    if (clause === null) return outerNames;
    const names = new Set(outerNames);
    const queries = list(clause, 'ctes').map((each) => typed(each)[1]);
    const nameOf = (query: Tree): string => text(query, 'ctename') ?? '';
    if (clause['recursive'] === true) for (const query of queries) names.add(nameOf(query));
    for (const query of queries) {
      this.counts.with_queries += 1;
      const inner = field(query, 'ctequery');
      const verb = inner === null ? null : this.statement(inner, new Set(names));
      if (verb !== null && verb !== 'select') this.writingVerb ??= verb;
      names.add(nameOf(query));
    }
    return names;
  }

  #block(): QueryBlock {
    const block: QueryBlock = { relations: [], comparisons: [], sort: [], limit: false };
    this.blocks.push(block);
    return block;
  }

  select(body: Tree, outerNames: ReadonlySet<string>): void {
    const place = this.blocks.length;
    if ((text(body, 'op') ?? 'SETOP_NONE') !== 'SETOP_NONE') {
      this.counts.set_operations += 1;
      const names = this.#withQueries(body, outerNames);
      for (const side of ['larg', 'rarg']) {
        const branch = field(body, side);
        if (branch !== null) this.select(branch, names);
      }
      this.#countClauses(body);
      for (const key of ['sortClause', 'limitCount', 'limitOffset']) this.#expression(body[key], names);
      return;
    }
    const names = this.#withQueries(body, outerNames);
    // Before those of its subqueries, after those of its WITH: but the outermost comes first.
    const block = this.#block();
    if (place === 0) this.blocks.unshift(...this.blocks.splice(this.blocks.length - 1, 1));
    this.#from(block, list(body, 'fromClause'), names);
    this.#conditions(block, field(body, 'whereClause'));
    this.#countClauses(body);
    block.limit = body['limitCount'] !== undefined;
    block.sort = sortColumns(list(body, 'sortClause'));
    for (const key of [
      'targetList',
      'whereClause',
      'groupClause',
      'havingClause',
      'windowClause',
      'distinctClause',
      'sortClause',
      'limitCount',
      'limitOffset',
      'valuesLists',
    ])
      this.#expression(body[key], names);
  }

  #countClauses(body: Tree): void {
    if (list(body, 'groupClause').length > 0) this.counts.groupings += 1;
    if (list(body, 'sortClause').length > 0) this.counts.sorts += 1;
    if (Array.isArray(body['distinctClause'])) this.counts.distincts += 1;
    if (body['limitCount'] !== undefined) this.counts.limits += 1;
    this.counts.row_locks += list(body, 'lockingClause').length;
  }

  change(verb: Verb, body: Tree, outerNames: ReadonlySet<string>): void {
    const place = this.blocks.length;
    const names = this.#withQueries(body, outerNames);
    const relation = field(body, 'relation');
    const target = relation === null ? null : relationOf(relation);
    this.target ??= target;
    if (verb === 'insert') {
      this.counts.relations += 1;
      const source = as('SelectStmt', field(body, 'selectStmt'));
      if (source !== null) this.select(source, names);
      const conflict = field(body, 'onConflictClause');
      if (conflict !== null) {
        this.#setColumns(list(conflict, 'targetList'));
        this.#expression(conflict['targetList'], names);
        this.#expression(conflict['whereClause'], names);
      }
      this.#expression(body['returningList'], names);
      return;
    }
    const block = this.#block();
    if (place === 0) this.blocks.unshift(...this.blocks.splice(this.blocks.length - 1, 1));
    if (target !== null) {
      block.relations.push(target);
      this.counts.relations += 1;
    }
    if (verb === 'merge') {
      const source = field(body, 'sourceRelation');
      if (source !== null) this.#from(block, [source], names);
      this.#conditions(block, field(body, 'joinCondition'));
      for (const when of list(body, 'mergeWhenClauses')) {
        const clause = as('MergeWhenClause', when);
        if (clause !== null && text(clause, 'commandType') === 'CMD_UPDATE')
          this.#setColumns(list(clause, 'targetList'));
      }
      for (const key of ['joinCondition', 'mergeWhenClauses', 'returningList'])
        this.#expression(body[key], names);
      return;
    }
    this.#from(block, list(body, verb === 'update' ? 'fromClause' : 'usingClause'), names);
    this.#conditions(block, field(body, 'whereClause'));
    if (verb === 'update') this.#setColumns(list(body, 'targetList'));
    for (const key of ['targetList', 'whereClause', 'returningList']) this.#expression(body[key], names);
  }

  #setColumns(targets: readonly Tree[]): void {
    for (const each of targets) {
      const name = text(as('ResTarget', each) ?? {}, 'name');
      if (name !== null) this.setColumns.add(name);
    }
  }

  /** Reads items of FROM into the block. Returns the labels that they give. */
  #from(block: QueryBlock, items: readonly Tree[], names: ReadonlySet<string>): Set<string> {
    const labels = new Set<string>();
    const add = (use: RelationUse): void => {
      block.relations.push(use);
      labels.add(use.label);
    };
    for (const item of items) {
      const [type, body] = typed(item);
      if (type === 'RangeVar') {
        const use = relationOf(body);
        const derived = use.schema === null && names.has(use.name);
        add(derived ? { schema: null, name: '', label: use.label } : use);
        if (!derived) this.counts.relations += 1;
      } else if (type === 'JoinExpr') {
        for (const label of this.#join(block, body, names)) labels.add(label);
      } else if (type === 'RangeTableSample') {
        const inner = field(body, 'relation');
        if (inner !== null) for (const label of this.#from(block, [inner], names)) labels.add(label);
        this.#expression(body['args'], names);
      } else {
        // A subquery, a function and the like: its columns are none of the catalog's.
        add({ schema: null, name: '', label: text(field(body, 'alias') ?? {}, 'aliasname') ?? '' });
        this.#expression(item, names);
      }
    }
    this.counts.joins += Math.max(0, items.length - 1);
    return labels;
  }

  #join(block: QueryBlock, body: Tree, names: ReadonlySet<string>): Set<string> {
    const kind = text(body, 'jointype');
    const left = this.#from(block, list({ each: [field(body, 'larg')] }, 'each'), names);
    const right = this.#from(block, list({ each: [field(body, 'rarg')] }, 'each'), names);
    this.counts.joins += 1;
    if (kind !== 'JOIN_INNER') this.counts.outer_joins += 1;
    const before = block.comparisons.length;
    this.#conditions(block, field(body, 'quals'));
    if (kind !== 'JOIN_INNER') {
      // ON of an outer join leaves no row of the kept side out: there it is no restriction.
      const kept = kind === 'JOIN_LEFT' ? left : kind === 'JOIN_RIGHT' ? right : new Set([...left, ...right]);
      const added = block.comparisons.splice(before);
      block.comparisons.push(
        ...added.filter(
          ({ left: one, right: other }) =>
            kind !== 'JOIN_FULL' && (other !== null || one.qualifier === null || !kept.has(one.qualifier)),
        ),
      );
    }
    this.#expression(body['quals'], names);
    const alias = text(field(body, 'alias') ?? {}, 'aliasname');
    return alias === null ? new Set([...left, ...right]) : new Set([alias]);
  }

  /** Comparisons that must all hold. */
  #conditions(block: QueryBlock, node: Tree | null): void {
    if (node === null) return;
    const logical = as('BoolExpr', node);
    if (logical !== null && text(logical, 'boolop') === 'AND_EXPR') {
      for (const each of list(logical, 'args')) this.#conditions(block, each);
      return;
    }
    this.counts.conditions += 1;
    const comparison = comparisonOf(as('A_Expr', node));
    if (comparison !== null) block.comparisons.push(comparison);
  }

  /** Whatever stands in an expression: subqueries become blocks, calls and conditions are counted. */
  #expression(value: unknown, names: ReadonlySet<string>): void {
    // Without recursion along AND, OR and operators, of which a generated text has thousands in a row.
    const waiting: unknown[] = [value];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (Array.isArray(next)) waiting.push(...(next as unknown[]).toReversed());
      if (!isTree(next)) continue;
      for (const [key, content] of Object.entries(next)) {
        if (key === 'SelectStmt' && isTree(content)) {
          this.counts.subqueries += 1;
          this.select(content, names);
          continue;
        }
        if (isTree(content)) this.#note(key, content);
        if (typeof content === 'object' && content !== null) waiting.push(content);
      }
    }
  }

  #note(type: string, body: Tree): void {
    if (type === 'FuncCall') {
      const parts = nameParts(list(body, 'funcname')) ?? [];
      this.counts.function_calls += 1;
      if (body['over'] !== undefined) this.counts.window_functions += 1;
      else if (aggregates.has(parts.at(-1) ?? '') || body['agg_star'] === true) this.counts.aggregates += 1;
    } else if (type === 'A_Expr') {
      if (/LIKE|SIMILAR/.test(text(body, 'kind') ?? '')) this.counts.like_conditions += 1;
    } else if (type === 'BoolExpr' && text(body, 'boolop') !== 'AND_EXPR') {
      this.counts.disjunctions += 1;
    }
  }
}

/** Reads one statement, as the parser gives it. */
export function readStatement(node: Tree): ParsedStatement {
  const reader = new TreeReader();
  const verb = reader.statement(node, new Set());
  return {
    verb: verb === null ? 'utility' : verb === 'select' ? (reader.writingVerb ?? verb) : verb,
    blocks: reader.blocks,
    target: reader.target,
    set_columns: [...reader.setColumns].sort(),
    counts: reader.counts,
  };
}
