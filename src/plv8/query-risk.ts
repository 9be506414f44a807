/** The body of maint.judge_query: a bundle of its own, as it has to be quick and needs no step. */
import { judgeQuery } from '../catalog/query-risk/judge.ts';
import type { CachedModel, Judgement } from '../catalog/query-risk/judge.ts';
import { runSync } from '../core/drivers.ts';
import { keptPlansHost, serverError } from './host.ts';

/** A role's own in each session, and gone with it. */
const session = globalThis as { maintQueryRiskModel?: CachedModel };

export function judge(query: string): Judgement {
  try {
    return runSync(
      judgeQuery(query, {
        get: () => session.maintQueryRiskModel,
        set(cached) {
          session.maintQueryRiskModel = cached;
        },
      }),
      keptPlansHost,
    );
  } catch (error) {
    throw serverError(error);
  }
}
