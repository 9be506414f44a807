/** Waits until actions have ended, and says how far they are; where no worker is alive, does them itself meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { queryRow } from './connection.ts';
import type { LiveLine } from './live-line.ts';
import { connectAsOwner } from './session.ts';
import { runWorker } from './worker.ts';

/** A row of maint.actions, as far as it is told of. */
export interface WatchedAction {
  action_id: number;
  kind: string;
  status: string;
  /** Quoted, as psql needs it. */
  object: string;
  outcome: string | null;
  error: string | null;
  progress: string | null;
}

/** finished: all have ended, however they did. no_worker: none is alive, and this role can't be one. */
export type WaitStatus = 'finished' | 'timed_out' | 'no_worker';

export interface Waited {
  status: WaitStatus;
  seconds: number;
  actions: WatchedAction[];
}

export interface WaitOptions {
  /** The connection string, for the worker that is started where there is none. */
  target: string | undefined;
  /** A condition on maint.actions as a, with $1. */
  which: 'a.action_id = $1' | 'a.last_run_id = $1';
  id: number;
  timeoutSeconds: number;
  line: LiveLine;
  /** Told once for each action that has ended, and of what the worker started here says. */
  say(text: string): void;
}

/** Often enough for a percentage that moves, seldom enough to cost nothing. */
const lookEveryMs = 300;

async function look(client: pg.ClientBase, { which, id }: WaitOptions): Promise<WatchedAction[]> {
  const { actions } = await queryRow<{ actions: WatchedAction[] }>(
    client,
    `select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(w) order by w.action_id), '[]') as actions
     from (
       select a.action_id, a.kind, a.status, a.object, a.outcome, a.error, a.progress
       from maint.actions as a where ${which}) as w`,
    [id],
  );
  return actions;
}

async function workersAlive(client: pg.ClientBase): Promise<number> {
  const { alive } = await queryRow<{ alive: number }>(
    client,
    `select coalesce((maint.status() #>> '{worker,alive}')::int, 0) as alive`,
  );
  return alive;
}

export function isOver({ status }: WatchedAction): boolean {
  return status !== 'queued' && status !== 'running';
}

async function mayAct(target: string | undefined): Promise<boolean> {
  try {
    await (await connectAsOwner(target)).end();
    return true;
  } catch {
    return false;
  }
}

/** On a connection without an open transaction. */
export async function waitForActions(client: pg.ClientBase, options: WaitOptions): Promise<Waited> {
  const { target, timeoutSeconds, line, say } = options;
  const began = performance.now();
  const seconds = (): number => Math.round((performance.now() - began) / 100) / 10;
  const stop = new AbortController();
  let worker: Promise<void> | null = null;
  const told = new Set<number>();
  try {
    for (;;) {
      const actions = await look(client, options);
      for (const action of actions.filter(isOver)) {
        if (told.has(action.action_id)) continue;
        told.add(action.action_id);
        line.clear();
        say(sentence(action));
      }
      const open = actions.filter((action) => !isOver(action));
      if (open.length === 0) return { status: 'finished', seconds: seconds(), actions };
      if (seconds() >= timeoutSeconds) return { status: 'timed_out', seconds: seconds(), actions };
      if (worker === null && (await workersAlive(client)) === 0) {
        if (!(await mayAct(target))) return { status: 'no_worker', seconds: seconds(), actions };
        say('no worker is alive: this command does the actions itself');
        worker = runWorker({ urls: [target], actionsOnly: true, signal: stop.signal, log: say });
      }
      line.show(progressLine(actions, open));
      await sleep(lookEveryMs);
    }
  } finally {
    line.clear();
    stop.abort();
    await worker;
  }
}

function sentence({ action_id: id, kind, status, object, outcome, error }: WatchedAction): string {
  const why = error ?? outcome;
  return `action ${id}: ${kind} ${object} ${status}${why === null ? '' : `: ${why}`}`;
}

function progressLine(all: readonly WatchedAction[], open: readonly WatchedAction[]): string {
  const running = open.filter(({ status }) => status === 'running');
  const shown = (running.length > 0 ? running : open)
    .map(({ kind, object, progress, outcome }) => {
      const how = progress ?? outcome;
      return `${kind} ${object}${how === null ? '' : ` (${how})`}`;
    })
    .join(' · ');
  return `actions ${all.length - open.length} of ${all.length} · ${shown}`;
}
