/** The body of maint.query_risk: a bundle of its own, as it has to be quick and needs no step. */
import { judgeQuery } from '../catalog/query-risk/judge.ts';
import type { Judgement, Session } from '../catalog/query-risk/judge.ts';
import { KnownPlans } from '../catalog/query-risk/known-plans.ts';
import { runSync } from '../core/drivers.ts';
import { keptPlansHost, serverError } from './host.ts';

/** A role's own in each session, and gone with it: each role has globals of its own. */
const session: Session = { model: null, plans: new KnownPlans() };

export function judge(query: string | null): Judgement {
  try {
    return runSync(judgeQuery(query, session), keptPlansHost);
  } catch (error) {
    throw serverError(error);
  }
}
