/** Every case of step 10, by what it is about. */
import type { Case } from './case.ts';
import { keyCases, expressionCases, predicateCases, includeCases } from './keys.ts';
import { uniqueCases, neededCases } from './constraints.ts';
import { methodCases, partitionCases } from './methods.ts';

export const cases: readonly Case[] = [
  ...keyCases,
  ...expressionCases,
  ...predicateCases,
  ...includeCases,
  ...uniqueCases,
  ...neededCases,
  ...methodCases,
  ...partitionCases,
];
