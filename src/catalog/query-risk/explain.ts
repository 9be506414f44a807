/** Plans a statement for any values of its constants and makes the features of it: for the worker and in the database. */
import { queryOne } from '../../core/program.ts';
import type { Parameter, Program } from '../../core/program.ts';
import { mightBeWrittenOtherwise } from '../../core/sqlstate.ts';
import { KnownPlans } from './known-plans.ts';
import type { ExplainedPlan } from './plan-node.ts';
import { asNull, readQuery } from './query-text.ts';
import type { QueryText, TextProblem } from './query-text.ts';

export type Explained =
  | {
      features: number[];
      cost: number;
      /** The features of the plan for the statement's own constants; null where it has none, or parameters in their place. */
      own: number[] | null;
    }
  | { problem: TextProblem }
  | { problem: 'not_planned'; sqlstate: string; message: string };

/** Of maint.explain_generic. */
interface Answer {
  plan: string | null;
  own_plan: [ExplainedPlan] | null;
  sqlstate: string | null;
  message: string | null;
  work_mem: number;
}

/** Has the server plan a statement. */
type Ask = (statement: string, parameters: number, own: string | null) => Program<Answer>;

type Planner = 'maint.explain_generic' | 'pg_temp.explain_generic';

const answered = (planner: Planner): string => `${planner}($1, $2::int, $3, $4)`;

const parametersOf: (...asked: Parameters<Ask>) => Parameter[] = (statement, parameters, own) => [
  statement,
  parameters,
  parameters > 0 && statement.includes(';') ? asNull(statement) : '',
  own,
];

const asking =
  (planner: Planner): Ask =>
  (...asked) =>
    queryOne<Answer>(`select ${answered(planner)} as row`, parametersOf(...asked));

/** Of a statement in the history, which tells no constants. `planner`: a copy of the function that has another role's rights. */
export function* explainQuery(text: string, planner: Planner = 'maint.explain_generic'): Program<Explained> {
  const read = readQuery(text);
  return 'problem' in read ? read : yield* explain(read, asking(planner), new KnownPlans(), null);
}

const ownOf = (read: QueryText): string | null =>
  read.parameters === 0 && read.generalParameters > 0 ? read.statement : null;

/** Of a statement as it is about to be sent, and was read already. */
export function* explainRead(read: QueryText): Program<Explained> {
  return yield* explain(read, asking('maint.explain_generic'), new KnownPlans(), ownOf(read));
}

/**
 * The same, and the value of an expression of SQL over $5, asked in one query: in one of its own it would take as long as
 * to plan a small statement.
 */
export function* explainReadBeside<Value>(
  read: QueryText,
  known: KnownPlans,
  expression: string,
  parameter: Parameter,
): Program<{ explained: Explained; value: Value }> {
  const values: Value[] = [];
  const explained = yield* explain(
    read,
    (...asked) => askBeside(asked, expression, parameter, values),
    known,
    ownOf(read),
  );
  return { explained, value: values[0] as Value };
}

/** Puts the value beside the answer into `values`. */
function* askBeside<Value>(
  asked: Parameters<Ask>,
  expression: string,
  parameter: Parameter,
  values: Value[],
): Program<Answer> {
  const row = yield* queryOne<{ answer: Answer; value: Value }>(
    `select pg_catalog.json_build_object('answer', ${answered('maint.explain_generic')}, 'value', ${expression}) as row`,
    [...parametersOf(...asked), parameter],
  );
  values.push(row.value);
  return row.answer;
}

function* explain(read: QueryText, ask: Ask, known: KnownPlans, own: string | null): Program<Explained> {
  let answer = yield* ask(read.general, read.generalParameters, own);
  if (answer.plan === null && mightBeWrittenOtherwise(answer.sqlstate ?? '')) {
    // A constant of its type may be what the statement needs, as in generate_series(1, 10).
    if (answer.own_plan !== null) {
      const { features, cost } = yield* known.read(answer.own_plan[0], answer.work_mem);
      return { features, cost, own: null };
    }
    // Where own was refused, the same text would be again.
    if (own === null && read.generalParameters > read.parameters)
      answer = yield* ask(read.statement, read.parameters, null);
  }
  if (answer.plan === null)
    return { problem: 'not_planned', sqlstate: answer.sqlstate ?? '', message: answer.message ?? '' };
  const { features, cost } = yield* known.readText(answer.plan, answer.work_mem);
  const ownPlan = answer.own_plan && (yield* known.read(answer.own_plan[0], answer.work_mem));
  return { features, cost, own: ownPlan && ownPlan.features };
}
