/** The shape of the repository: what belongs together is there, and what is generated is not stale. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import test from 'ava';
import { makeManifest } from '../build/manifest.ts';
import { pages, stemOf } from '../build/docs.ts';
import { repository } from '../build/paths.ts';
import { steps } from '../src/steps/index.ts';

function read(path: string): string {
  return readFileSync(join(repository, path), 'utf8');
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(repository, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(repository, join(entry.parentPath, entry.name)))
    .sort();
}

test('every step has its file, its test and its page, and there are none without a step', (t) => {
  const stems = steps.map(stemOf);
  for (const stem of stems) {
    for (const path of [`src/steps/${stem}.ts`, `test/steps/${stem}.test.ts`, `docs/steps/${stem}.md`]) {
      t.true(existsSync(join(repository, path)), `${path} is missing`);
    }
    const page = read(`docs/steps/${stem}.md`);
    const written = page
      .slice(page.indexOf('<!-- end of generated part -->'))
      .split('\n')
      .slice(1)
      .join('')
      .trim();
    t.true(written.length > 200, `docs/steps/${stem}.md says nothing of its own`);
  }
  const numbered = (folder: string, ending: string): string[] =>
    readdirSync(join(repository, folder))
      .filter((name) => /^\d\d-/.test(name) && name.endsWith(ending))
      .map((name) => name.replace(ending, ''))
      .sort();
  t.deepEqual(numbered('src/steps', '.ts'), stems);
  // A long test may have further files: STEM-part.test.ts.
  const tested = numbered('test/steps', '.test.ts').filter(
    (name) => !stems.some((stem) => name.startsWith(`${stem}-`)),
  );
  t.deepEqual(tested, stems);
  t.deepEqual(numbered('docs/steps', '.md'), stems);
});

test('steps are registered in order, once', (t) => {
  const numbers = steps.map(({ number }) => number);
  t.deepEqual(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
  );
});

test('generated pages are what npm run docs writes', (t) => {
  for (const { path, current, wanted } of pages()) t.is(current, wanted, `${path} is stale: npm run docs`);
});

test('migrations have ascending numbers, each once', (t) => {
  const { migrations } = makeManifest('0.0.0', { dispatcherBody: '', queryRiskBody: '' });
  const numbers = migrations.map(({ number }) => number);
  t.deepEqual(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
  );
});

test('every SQL function is one file of its name and says what it is', (t) => {
  for (const path of [...filesBelow('sql/api'), ...filesBelow('sql/internal')]) {
    const text = read(path);
    const created = [...text.matchAll(/^create or replace (?:function|procedure) maint\.([a-z_]+)\(/gm)].map(
      ([, name]) => name,
    );
    const name = path.replace(/^.*\//, '').replace(/\.sql$/, '');
    t.deepEqual([...new Set(created)], [name], path);
    t.regex(text, /^comment on (function|procedure) maint\./m, path);
    // A procedure that commits can't set anything: it says in its head that everything in it is qualified. What plans a
    // statement for its caller must resolve names as the caller does.
    if (!/^create or replace procedure|^-- With the rights and the search_path of the caller/m.test(text)) {
      t.regex(text, /set search_path = pg_catalog, (maint, )?pg_temp\b/, path);
    }
  }
});

test('no source file is over 400 lines', (t) => {
  for (const folder of ['src', 'sql', 'build', 'test', 'bench'].filter((each) =>
    existsSync(join(repository, each)),
  )) {
    for (const path of filesBelow(folder)) {
      if (path.startsWith('build/out/')) continue;
      const lines = read(path).split('\n').length;
      t.true(lines <= 401, `${path} has ${lines} lines`);
    }
  }
});

test('queries of steps are qualified, ordered and give one column named row', (t) => {
  for (const path of [...filesBelow('src/steps'), ...filesBelow('src/catalog')]) {
    for (const [, text = ''] of read(path).matchAll(/`(\s*(?:select|with)\b[^`]*)`/g)) {
      if (!/\bas row\b/.test(text)) continue;
      // Without FROM there is one row.
      if (/\bfrom\b/.test(text))
        t.regex(text, /order by/, `${path}: a query without order\n${text.slice(0, 200)}`);
      t.notRegex(
        text,
        /\b(?:from|join) pg_(?!catalog\.)/,
        `${path}: an unqualified catalog\n${text.slice(0, 200)}`,
      );
    }
  }
});
