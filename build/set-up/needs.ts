import { basename } from 'node:path';

export interface Needs {
  /** PostgreSQL, a compiler, V8 and the bridge between them. */
  server: boolean;
  /** What esbuild makes of the sources. */
  bundle: boolean;
  /** Chromium, for the tests of the report. */
  browser: boolean;
}

/** What each npm script stands on; a script that is not named here gets everything. */
export function needsOf(command: string, environment: NodeJS.ProcessEnv = process.env): Needs {
  // A server that the user names brings its own engine: no PostgreSQL, compiler or V8 is needed here then.
  const ownServer = (environment['DATABASE_URL'] ?? '') !== '';
  const browser = basename(command) === 'test.ts';
  switch (basename(command)) {
    case 'check.ts':
    case 'docs.ts':
      return { server: false, bundle: false, browser };
    case 'cluster-command.ts':
      return { server: true, bundle: false, browser };
    case 'pg-maint.js':
      return { server: false, bundle: true, browser };
    case 'bundle.ts':
      return { server: !ownServer, bundle: false, browser };
    case 'start.ts':
      return { server: !ownServer, bundle: true, browser };
    default:
      return { server: true, bundle: true, browser };
  }
}
