/** Plans a statement for any values of its constants and makes the features of it: for the worker and in the database. */
import { queryOne } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import { mightBeWrittenOtherwise } from '../../core/sqlstate.ts';
import { noFacts, planFeatures, wantedFacts } from './plan-features.ts';
import type { ExplainedPlan, PlanFacts } from './plan-node.ts';
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

const factsQuery = 'select maint.plan_facts($1::jsonb) as row order by 1';

interface Answer {
  /** As text: to make jsonb of it first takes the server as long as some statements take to plan. */
  plan?: string;
  own_plan?: string;
  sqlstate?: string;
  message?: string;
}

type Planner = 'maint.explain_generic' | 'pg_temp.explain_generic';

/** Of a statement in the history, which tells no constants. `planner`: a copy of the function that has another role's rights. */
export function* explainQuery(text: string, planner: Planner = 'maint.explain_generic'): Program<Explained> {
  const read = readQuery(text);
  return 'problem' in read ? read : yield* explain(read, planner, null);
}

/** Of a statement as it is about to be sent, and was read already. */
export function* explainRead(read: QueryText): Program<Explained> {
  const hasOnlyConstants = read.parameters === 0 && read.generalParameters > 0;
  return yield* explain(read, 'maint.explain_generic', hasOnlyConstants ? read.statement : null);
}

const planOf = (answered: string): ExplainedPlan => (JSON.parse(answered) as [ExplainedPlan])[0];

function* explain(read: QueryText, planner: Planner, own: string | null): Program<Explained> {
  const ask = (statement: string, parameters: number): Program<Answer> =>
    queryOne<Answer>(`select ${planner}($1, $2::int, $3, $4) as row order by 1`, [
      statement,
      parameters,
      parameters > 0 ? asNull(statement) : '',
      own,
    ]);
  let answer = yield* ask(read.general, read.generalParameters);
  if (answer.plan === undefined && mightBeWrittenOtherwise(answer.sqlstate ?? '')) {
    // A constant of its type may be what the statement needs, as in generate_series(1, 10).
    if (answer.own_plan !== undefined) answer = { plan: answer.own_plan };
    // Where own was refused, the same text would be again.
    else if (own === null && read.generalParameters > read.parameters)
      answer = yield* ask(read.statement, read.parameters);
  }
  if (answer.plan === undefined)
    return { problem: 'not_planned', sqlstate: answer.sqlstate ?? '', message: answer.message ?? '' };
  const plan = planOf(answer.plan);
  const ownPlan = answer.own_plan === undefined ? null : planOf(answer.own_plan);
  const wanted = wantedFacts(ownPlan ? [plan, ownPlan] : [plan]);
  const isNothing = wanted.relations.length === 0 && wanted.functions.length === 0;
  const facts = isNothing ? noFacts : yield* queryOne<PlanFacts>(factsQuery, [wanted]);
  return {
    features: planFeatures(plan, facts),
    cost: plan.Plan['Total Cost'],
    own: ownPlan && planFeatures(ownPlan, facts),
  };
}
