/** Plans a statement for any values of its constants and makes the features of it: for the worker and in the database. */
import { queryOne } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import { mightBeWrittenOtherwise } from '../../core/sqlstate.ts';
import { noFacts, planFeatures, wantedFacts } from './plan-features.ts';
import type { ExplainedPlan, PlanFacts } from './plan-node.ts';
import { asNull, readQuery } from './query-text.ts';
import type { QueryText, TextProblem } from './query-text.ts';

export type Explained =
  | { features: number[]; cost: number }
  | { problem: TextProblem }
  | { problem: 'not_planned'; sqlstate: string; message: string };

const factsQuery = 'select maint.plan_facts($1::jsonb) as row order by 1';

interface Answer {
  /** As text: to make jsonb of it first takes the server as long as some statements take to plan. */
  plan?: string;
  sqlstate?: string;
  message?: string;
}

/** `planner` is the function that plans: maint.explain_generic, or its copy that runs with another role's rights. */
export function* explainQuery(
  text: string,
  planner: 'maint.explain_generic' | 'pg_temp.explain_generic' = 'maint.explain_generic',
): Program<Explained> {
  const read = readQuery(text);
  return 'problem' in read ? read : yield* explainRead(read, planner);
}

/** The same for a text that was read already. */
export function* explainRead(
  read: QueryText,
  planner: 'maint.explain_generic' | 'pg_temp.explain_generic' = 'maint.explain_generic',
): Program<Explained> {
  const ask = (statement: string, parameters: number): Program<Answer> =>
    queryOne<Answer>(`select ${planner}($1, $2::int, $3) as row order by 1`, [
      statement,
      parameters,
      parameters > 0 ? asNull(statement) : '',
    ]);
  let answer = yield* ask(read.general, read.generalParameters);
  // A constant of its type may be what the statement needs, as in generate_series(1, 10).
  if (
    !answer.plan &&
    read.generalParameters > read.parameters &&
    mightBeWrittenOtherwise(answer.sqlstate ?? '')
  )
    answer = yield* ask(read.statement, read.parameters);
  if (answer.plan === undefined)
    return { problem: 'not_planned', sqlstate: answer.sqlstate ?? '', message: answer.message ?? '' };
  const [plan] = JSON.parse(answer.plan) as [ExplainedPlan];
  const wanted = wantedFacts(plan);
  const isNothing = wanted.relations.length === 0 && wanted.functions.length === 0;
  const facts = isNothing ? noFacts : yield* queryOne<PlanFacts>(factsQuery, [wanted]);
  return { features: planFeatures(plan, facts), cost: plan.Plan['Total Cost'] };
}
