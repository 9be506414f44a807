/** Queue maint_dead: jobs that were given up. Each is told where people look: in maint.actions or in maint.alerts. */
import type pg from 'pg';
import type { JobWithMetadata } from 'pg-boss';
import { jobKinds } from './index.ts';
import type { JobContext, JobKind } from './job.ts';

function kindOf({ sourceName }: JobWithMetadata): JobKind | undefined {
  return jobKinds.find(({ queue }) => queue === sourceName);
}

/** What pg-boss kept of the last failure: the message, or that it heard nothing any more. */
function lastFailure({ sourceOutput }: JobWithMetadata): string {
  const output = sourceOutput as { message?: unknown; value?: { message?: unknown } } | null;
  const message = output?.message ?? output?.value?.message;
  return typeof message === 'string' ? message : 'its worker was not heard of any more';
}

export const performDeadLetter = {
  describe: (job: JobWithMetadata): string =>
    `${kindOf(job)?.describe(job.data) ?? String(job.sourceName)}, which was given up`,

  async perform(
    client: pg.Client,
    job: JobWithMetadata,
    { log }: JobContext,
  ): Promise<{ outcome: string } | null> {
    const kind = kindOf(job);
    // Of a later version's queue: a worker of that version knows it.
    if (kind === undefined) throw new Error(`no queue ${String(job.sourceName)} is known here`);
    const times = (job.sourceRetryCount ?? 0) + 1;
    const reason = `its job failed ${times === 1 ? 'once' : `${times} times, at last`}: ${lastFailure(job)}`;
    const outcome = await kind.giveUp(client, job.data, reason);
    log(`${kind.describe(job.data)} was given up, ${reason}; ${outcome}`);
    return { outcome };
  },
};
