import { parseArgs } from 'node:util';
import { runningCluster, startCluster, stopCluster } from './cluster.ts';

const usage = `usage: npm run cluster -- up --dir DIRECTORY [--port PORT]
       npm run cluster -- status --dir DIRECTORY
       npm run cluster -- down --dir DIRECTORY

up      makes and starts a throw-away PostgreSQL in DIRECTORY and prints its URL; one that runs is left as it is
status  prints the URL of the one that runs there
down    stops it and removes its data
`;

class BadArguments extends Error {}

interface Arguments {
  command: 'up' | 'down' | 'status';
  directory: string;
  port: number | undefined;
}

function readArguments(words: string[]): Arguments | 'help' {
  const options = {
    dir: { type: 'string' },
    port: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  } as const;
  const { values, positionals } = parse(() => parseArgs({ args: words, options, allowPositionals: true }));
  if (values.help === true) return 'help';
  const [command, ...rest] = positionals;
  if (command !== 'up' && command !== 'down' && command !== 'status') {
    throw new BadArguments(command === undefined ? 'which command?' : `unknown command "${command}"`);
  }
  if (rest.length > 0) throw new BadArguments(`"${rest.join(' ')}" is too much`);
  if (values.dir === undefined || values.dir === '') throw new BadArguments('--dir is missing');
  if (values.port !== undefined && command !== 'up') throw new BadArguments('--port goes with up only');
  const port = values.port === undefined ? undefined : Number(values.port);
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65535)) {
    throw new BadArguments(`--port ${String(values.port)} is no port: give a number from 1 to 65535`);
  }
  return { command, directory: values.dir, port };
}

function parse<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    throw new BadArguments(error instanceof Error ? error.message : String(error));
  }
}

/** Only the URL goes to standard output, so that a script can take it; all else goes to standard error. */
async function main({ command, directory, port }: Arguments): Promise<number> {
  if (command === 'down') {
    await stopCluster(directory);
    process.stderr.write(`stopped, and its data in ${directory} removed\n`);
    return 0;
  }
  if (command === 'up') {
    const options = port === undefined ? { directory } : { directory, port };
    process.stdout.write(`${(await startCluster(options)).url}\n`);
    return 0;
  }
  const running = runningCluster(directory);
  if (running === null) {
    process.stderr.write(`no cluster runs in ${directory}\n`);
    return 1;
  }
  process.stdout.write(`${running.url}\n`);
  process.stderr.write(`log: ${running.logFile}\n`);
  return 0;
}

try {
  const parsed = readArguments(process.argv.slice(2));
  if (parsed === 'help') process.stdout.write(usage);
  else process.exitCode = await main(parsed);
} catch (error) {
  const bad = error instanceof BadArguments;
  process.stderr.write(
    `${error instanceof Error ? error.message : String(error)}\n${bad ? `\n${usage}` : ''}`,
  );
  process.exitCode = bad ? 2 : 1;
}
