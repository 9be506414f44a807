/** What check_postgres, a package of Debian, says of index bloat: it estimates from statistics and reads no page. */
import { has } from '../../build/set-up/apt.ts';
import { run } from '../../build/run.ts';

export interface Estimated {
  /** Index -> bytes that it takes for wasted; an index that it does not name is in order for it. */
  wasted: Map<string, number>;
  ms: number;
}

/** Null where it is not installed. Its statistics should be fresh: ANALYZE first. */
export async function askCheckPostgres(databaseUrl: string): Promise<Estimated | null> {
  if (!has('check_postgres')) return null;
  const url = new URL(databaseUrl);
  const never = `${2 ** 50}`;
  const words = [
    '--action=bloat',
    '-H',
    url.hostname,
    '-p',
    url.port,
    `--dbuser=${decodeURIComponent(url.username)}`,
  ];
  const started = performance.now();
  const { stdout } = await run('check_postgres', [
    ...words,
    `--dbname=${url.pathname.slice(1)}`,
    '--perflimit=1000000',
    `--warning=${never}`,
    `--critical=${never}`,
  ]);
  const ms = performance.now() - started;
  if (!stdout.startsWith('POSTGRES_BLOAT OK'))
    throw new Error(`check_postgres says: ${stdout.slice(0, 300)}`);
  const wasted = new Map<string, number>();
  for (const [, name = '', bytes] of stdout.matchAll(/(\S+)=(\d+)B/g)) wasted.set(name, Number(bytes));
  return { wasted, ms };
}
