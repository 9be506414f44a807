/** The features of plans, for a session that asks about one statement after the other: shapes come again, constants don't. */
import { clock } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import { areFresh, KnownFacts } from './known-facts.ts';
import type { Source } from './known-facts.ts';
import { planFeatures, wantedFacts } from './plan-features.ts';
import type { ExplainedPlan, WantedFacts } from './plan-node.ts';
import { TextMemory } from './text-memory.ts';

/** As long as the texts of a thousand plans together, about. */
const mostCharacters = 4_000_000;

export interface PlanRead {
  features: number[];
  cost: number;
}

interface KnownPlan extends PlanRead {
  wanted: WantedFacts;
  sources: readonly Source[];
  work_mem: number;
}

const areSame = (some: readonly Source[], others: readonly Source[]): boolean =>
  some.length === others.length && some.every((source, index) => source === others[index]);

export class KnownPlans {
  readonly #facts = new KnownFacts();
  readonly #plans = new TextMemory<KnownPlan>(mostCharacters);

  *read(plan: ExplainedPlan, workMem: number): Program<PlanRead> {
    return yield* this.#read(plan, workMem, yield* clock());
  }

  /** As EXPLAIN has it: the same text is not read twice, unless the facts are others. */
  *readText(text: string, workMem: number): Program<PlanRead> {
    const now = yield* clock();
    const known = this.#plans.get(text);
    if (known?.work_mem === workMem) {
      if (areFresh(known.sources, now)) return known;
      const { sources } = yield* this.#facts.of(known.wanted, now);
      if (areSame(sources, known.sources)) return known;
    }
    const [plan] = JSON.parse(text) as [ExplainedPlan];
    const read = yield* this.#read(plan, workMem, now);
    this.#plans.set(text, read);
    return read;
  }

  *#read(plan: ExplainedPlan, workMem: number, now: number): Program<KnownPlan> {
    const wanted = wantedFacts(plan);
    const { relations, functions, sources } = yield* this.#facts.of(wanted, now);
    const features = planFeatures(plan, { relations, functions, work_mem: workMem });
    return { features, cost: plan.Plan['Total Cost'], wanted, sources, work_mem: workMem };
  }
}
