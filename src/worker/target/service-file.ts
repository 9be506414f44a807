/** The connection service file, as libpq reads it: [name] sections of keyword=value lines. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CouldNotRun } from '../errors.ts';
import { checkKeywords } from './keywords.ts';
import type { Keywords } from './keywords.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where packages have libpq look when PGSYSCONFDIR does not say: Debian, Red Hat, a build of one's own. */
const systemFolders = ['/etc/postgresql-common', '/etc/sysconfig/pgsql', '/etc', '/usr/local/pgsql/etc'];

function filesOf(environment: Environment): string[] {
  const { PGSERVICEFILE: own, PGSYSCONFDIR: folder, HOME: home = homedir() } = environment;
  const system = folder === undefined ? systemFolders : [folder];
  return [own ?? join(home, '.pg_service.conf'), ...system.map((each) => join(each, 'pg_service.conf'))];
}

/** The section of that name, or null. A line that is none of a service file's is refused. */
function sectionOf(file: string, name: string): Keywords | null {
  let found: Record<string, string> | null = null;
  let inside = false;
  for (const [index, raw] of readFileSync(file, 'utf8').split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const place = `${file}:${index + 1}`;
    const title = /^\[(.*)\]$/.exec(line)?.[1];
    if (title !== undefined) {
      if (inside) break;
      inside = title === name;
      if (inside) found = {};
      continue;
    }
    if (!inside || found === null) continue;
    const equals = line.indexOf('=');
    if (equals < 1) throw new CouldNotRun(`${place}: expected keyword=value`);
    const keyword = line.slice(0, equals);
    if (keyword === 'service') throw new CouldNotRun(`${place}: a service can't name another service`);
    // The first one wins, as in libpq.
    found[keyword] ??= line.slice(equals + 1);
    checkKeywords({ [keyword]: found[keyword] }, place);
  }
  return found === null ? null : checkKeywords(found, file);
}

/** The settings of a service. Throws CouldNotRun where no file has it. */
export function readService(name: string, environment: Environment = process.env): Keywords {
  const files = filesOf(environment);
  if (environment['PGSERVICEFILE'] !== undefined && !existsSync(files[0] ?? ''))
    throw new CouldNotRun(`can't read the service file ${files[0] ?? ''}`, 'PGSERVICEFILE names it');
  for (const file of files) {
    if (!existsSync(file)) continue;
    const section = sectionOf(file, name);
    if (section !== null) return section;
  }
  throw new CouldNotRun(
    `there is no connection service "${name}"`,
    `a section [${name}] in ${files[0] ?? ''} would define it`,
  );
}
