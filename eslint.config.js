import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const neutral =
  'A step runs inside the database and in Node alike: it knows only the rows it asked for and its input.';

/** Globals that one of the two hosts lacks, or that give another answer at each run. */
const hostGlobals = [
  ['plv8', `${neutral} Ask with "yield* query(…)".`],
  ['process', neutral],
  ['Buffer', neutral],
  ['console', `${neutral} Say it in a finding or an alert.`],
  ['globalThis', neutral],
  ['setTimeout', `${neutral} PL/V8 has no timers.`],
  ['setInterval', `${neutral} PL/V8 has no timers.`],
  ['fetch', neutral],
  ['TextEncoder', `${neutral} PL/V8 has none.`],
  ['TextDecoder', `${neutral} PL/V8 has none.`],
  [
    'Date',
    'The time comes in as input, from the server: a step judges the same rows the same way at any time.',
  ],
  ['performance', 'The time comes in as input, from the server.'],
  ['crypto', 'Seeds come in as input, so that a run can be repeated.'],
].map(([name, message]) => ({ name, message }));

export default defineConfig(
  { ignores: ['node_modules/', 'build/out/', 'coverage/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      // Numbers and booleans read well in a message; objects do not.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // Rows are indexed by column names, which are strings in the database.
      '@typescript-eslint/dot-notation': 'off',
      // Contracts are written in method style, and their implementations are plain functions without `this`.
      '@typescript-eslint/unbound-method': 'off',
      // `Row` in query<Row>() says what the SQL beside it selects.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
    },
  },
  {
    files: ['src/steps/**/*.ts', 'src/core/**/*.ts', 'src/catalog/**/*.ts'],
    rules: {
      'no-restricted-globals': ['error', ...hostGlobals],
      'no-restricted-properties': [
        'error',
        {
          object: 'Math',
          property: 'random',
          message: 'Seeds come in as input, so that a run can be repeated.',
        },
      ],
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['node:*'], message: `${neutral} The database has no Node.` },
            { group: ['pg', 'pg-*', 'pg/*'], message: `${neutral} Ask with "yield* query(…)".` },
            { regex: '/(plv8|worker|bridge)/', message: 'A host knows the steps, the steps know no host.' },
          ],
        },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // A test states what must be there and is right to fail loudly when it is not.
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
);
