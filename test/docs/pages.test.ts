/** Every command in README and docs works as it stands there, or says why it is not run. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { repository } from '../../build/paths.ts';
import type { TestDatabase } from '../support/database.ts';
import { blocksOf, runPage, typedInto } from './blocks.ts';

const pages = [
  'README.md',
  ...readdirSync(join(repository, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name))
    .sort(),
];

test('blocks, their reasons, and what a transcript shows to be typed', (t) => {
  const page =
    'a\n```sh\nls\n```\n<!-- not run: no server -->\n\n```sql\nselect 1;\n```\n```\nx=# select\nx-# 2;\n 2\n```\n';
  t.deepEqual(blocksOf(page), [
    { language: 'sh', text: 'ls\n', line: 3, notRun: null },
    { language: 'sql', text: 'select 1;\n', line: 8, notRun: 'no server' },
    { language: '', text: 'x=# select\nx-# 2;\n 2\n', line: 11, notRun: null },
  ]);
  t.is(typedInto('x=# select\nx-# 2;\n 2\n'), 'select\n2;');
});

/** The README's first fix and its undo, from the shell and from psql: each was done, and the index is there again. */
async function wasUndone(t: ExecutionContext, database: TestDatabase): Promise<void> {
  t.deepEqual(
    await database.query(`select kind, status, object from maint.actions
      where object = 'shop.customer_city' order by action_id`),
    ['drop_index', 'create_index', 'drop_index', 'create_index'].map((kind) => ({
      kind,
      status: 'succeeded',
      object: 'shop.customer_city',
    })),
  );
  t.deepEqual(
    await database.query(`select i.indisvalid, pg_get_indexdef(i.indexrelid) as definition from pg_index as i
      where i.indexrelid = 'shop.customer_city'::regclass`),
    [
      {
        indisvalid: true,
        definition: 'CREATE INDEX customer_city ON shop.customer USING btree (city)',
      },
    ],
  );
}

for (const path of pages) {
  test(`the commands of ${path}`, async (t) => {
    t.timeout(240_000);
    const database = await runPage(t, path);
    if (path === 'README.md') await wasUndone(t, database!);
  });
}

test('links between pages lead to a file', (t) => {
  for (const path of [...pages, 'CONTRIBUTING.md', 'CHANGELOG.md']) {
    const text = readFileSync(join(repository, path), 'utf8');
    for (const [, target = ''] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const file = join(dirname(path), target);
      t.notThrows(() => readFileSync(join(repository, file)), `${path}: ${relative('.', file)}`);
    }
  }
});
