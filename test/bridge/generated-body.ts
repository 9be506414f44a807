/** Random bodies: any function that V8 offers, called on and with hostile values, and with what earlier calls returned. */
import type { Random } from '../property/random.ts';

/** Each makes a value, anew for every call: some are changed by what they are given to. */
const values: readonly string[] = [
  'undefined',
  'null',
  '-1',
  '0',
  '2 ** 31',
  '2 ** 32 - 1',
  '2 ** 53 - 1',
  'NaN',
  'Infinity',
  '2n ** 64n',
  '2n ** (2n ** 22n)',
  '-(3n ** 1000000n)',
  '""',
  '"a"',
  '"a".repeat(2 ** 28)',
  '"ab\\u4e2d".repeat(2 ** 20)',
  '"(a*)*b"',
  '/(a*)*b/g',
  '/a|b/y',
  'Symbol.iterator',
  '() => 0',
  'function () { return this }',
  '[]',
  '[1, 2, 3]',
  'new Array(4294967295)',
  'new Array(1e6).fill(1.5)',
  '({ length: 2 ** 53 - 1 })',
  '({ length: 2 ** 32 - 1, 0: 1 })',
  '({ length: 1e6 })',
  '({ [Symbol.iterator]: () => ({ next: Object.create.bind(null, { value: 1 }) }) })',
  '({ valueOf() { return 2 ** 30 }, toString() { return "x".repeat(1e6) } })',
  '({ get length() { throw new Error("length") } })',
  'new Proxy([], {})',
  'new Proxy({}, { get: () => 2 ** 40, has: () => true, ownKeys: () => new Array(1e5).fill("x") })',
  'new Uint8Array(2 ** 22)',
  'new Float64Array(2 ** 20)',
  'new BigInt64Array(1000)',
  'new ArrayBuffer(2 ** 25)',
  'new DataView(new ArrayBuffer(100))',
  'new Map([[1, 2]])',
  'new Set([1, 2])',
  'new WeakMap()',
  'new Date(8.64e15)',
  'Promise.resolve(1)',
  '(function* () { for (;;) yield 1 })()',
  'globalThis',
  'Object.prototype',
  'Array',
  'String',
];

/** All functions that can be reached from the globals, in an order that does not change. */
const prelude = `
  const seen = new Set(), functions = [];
  const walk = (value, depth) => {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value) || depth > 4) return;
    seen.add(value);
    if (typeof value === 'function') functions.push(value);
    for (const key of Reflect.ownKeys(value)) {
      const property = Reflect.getOwnPropertyDescriptor(value, key);
      walk(property.value, depth + 1); walk(property.get, depth + 1); walk(property.set, depth + 1);
    }
    walk(Object.getPrototypeOf(value), depth + 1);
  };
  walk(globalThis, 0);
  const kept = [];
  const call = (at, construct, self, ...given) => {
    const f = functions[at % functions.length];
    try { kept.push(construct ? Reflect.construct(f, given) : Reflect.apply(f, self, given)) } catch (e) { kept.push(e) }
  };
`;

/** Functions that V8 has by far: an index is taken modulo their number. */
const mostFunctions = 1 << 16;

export function generatedBody(random: Random): string {
  const calls = Array.from({ length: 1 + random.below(5) }, () => {
    const value = (): string => (random.chance(0.2) ? 'kept.at(-1)' : random.pick(values));
    const given = Array.from({ length: random.below(5) }, value);
    return `  call(${[String(random.below(mostFunctions)), String(random.chance(0.15)), value(), ...given].join(', ')});`;
  });
  return `${prelude}${calls.join('\n')}\n  return typeof kept.at(-1)`;
}
