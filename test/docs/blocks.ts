/** The commands of a page of the documentation, and the running of them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { createSampleDatabase } from '../../build/sample/database.ts';
import { outDirectory, repository } from '../../build/paths.ts';
import { run } from '../../build/run.ts';
import { install } from '../../src/worker/install.ts';
import { pathWith, temporaryFolder } from '../support/command.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

export interface Block {
  language: string;
  text: string;
  /** Line of the page where it begins. */
  line: number;
  /** Why it is not run, from `<!-- not run: REASON -->` above it; null where it is. */
  notRun: string | null;
}

/** Every fenced block of a page. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  const lines = page.split('\n');
  let open: Block | null = null;
  for (const [index, line] of lines.entries()) {
    if (open === null && /^```/.test(line)) {
      const above = lines
        .slice(0, index)
        .reverse()
        .find((each) => each.trim() !== '');
      const notRun = /^<!-- not run: (.+) -->$/.exec(above ?? '')?.[1] ?? null;
      open = { language: line.slice(3).trim(), text: '', line: index + 2, notRun };
    } else if (open !== null && line.startsWith('```')) {
      blocks.push(open);
      open = null;
    } else if (open !== null) open.text += `${line}\n`;
  }
  return blocks;
}

/** What a transcript of psql shows to have been typed. */
export function typedInto(transcript: string): string {
  return transcript
    .split('\n')
    .flatMap((line) => /^\w+[=-][#>] (.*)$/.exec(line)?.[1] ?? [])
    .join('\n');
}

/** One shell script of all blocks of a page, in their order and in one shell. */
function scriptOf(blocks: readonly Block[]): string {
  const parts = blocks.map(({ language, text, line, notRun }) => {
    if (notRun !== null) return '';
    const mark = `echo "line ${line}" >"$PROGRESS"\n`;
    const sql = language === 'sql' ? text : language === '' ? typedInto(text) : '';
    if (sql !== '')
      return `${mark}psql -X -q -v ON_ERROR_STOP=1 >/dev/null <<'END_OF_SQL'\n${sql}\nEND_OF_SQL\n`;
    return language === 'sh' ? `${mark}${text}` : '';
  });
  // What the page starts in the background ends with it.
  return `set -meuo pipefail\ntrap 'for job in $(jobs -p); do kill -- -$job; done 2>/dev/null' EXIT\n${parts.join('')}`;
}

/** Runs a page's commands on a sample database of its own, in which pg-maint is installed and has run. Null where it has none. */
export async function runPage(t: ExecutionContext, path: string): Promise<TestDatabase | null> {
  const blocks = blocksOf(readFileSync(join(repository, path), 'utf8'));
  if (!blocks.some(({ language, notRun }) => ['sh', 'sql', ''].includes(language) && notRun === null)) {
    t.pass('no command');
    return null;
  }
  const database = await createDatabase(t);
  await createSampleDatabase(database.url, database.name);
  await install(database.url);
  // Others load this server; the page is not about that.
  await database.query(`select maint.configure('operational.safeguards.max_active_backends_per_core', '0'),
    maint.configure('operational.safeguards.max_wal_mb_per_second', '0')`);
  await database.query('select maint.run(force => true)');
  const url = new URL(database.url);
  const folder = temporaryFolder(t);
  const script = join(folder, 'page.sh');
  writeFileSync(script, scriptOf(blocks));
  const commands = pathWith(t, {
    scripts: { 'pg-maint': `exec ${process.execPath} ${join(outDirectory, 'worker/pg-maint.js')} "$@"` },
  });
  const progress = join(folder, 'progress');
  writeFileSync(progress, 'the beginning');
  const result = await run('bash', [script], {
    cwd: repository,
    allowFailure: true,
    env: {
      ...process.env,
      PATH: `${commands}:${process.env['PATH'] ?? ''}`,
      PROGRESS: progress,
      DATABASE_URL: database.url,
      PGHOST: url.hostname,
      PGPORT: url.port,
      PGUSER: url.username,
      PGDATABASE: database.name,
      TMPDIR: folder,
    },
  });
  const at = readFileSync(progress, 'utf8').trim();
  t.is(result.code, 0, `${path}, ${at}:\n${result.stderr.slice(-3000)}`);
  return database;
}
