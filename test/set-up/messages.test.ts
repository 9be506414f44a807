import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { repository } from '../../build/paths.ts';
import { run } from '../../build/run.ts';
import type { PackageSource } from '../../build/set-up/apt.ts';
import { needsOf } from '../../build/set-up/needs.ts';
import { offered, optionalPackages } from '../../build/set-up/optional.ts';
import { packagesFor } from '../../build/set-up/server.ts';
import { libraryPackage, missingLibraries } from '../../build/set-up/v8.ts';
import { pathWith, runScript } from '../support/command.ts';

/** Set-up as someone who is not root: on a machine with root, the process is told another number. */
function setUp(path: string, as: 'user' | 'root'): ReturnType<typeof runScript> {
  const uid = `--import=data:text/javascript,process.getuid=()=>${as === 'root' ? 0 : 1000}`;
  return runScript('build/set-up.ts', ['node', 'build/cluster-command.ts'], {
    env: { PATH: path, HOME: process.env['HOME'] },
    nodeOptions: [uid],
  });
}

function isMessage(t: ExecutionContext, result: { code: number; stdout: string; stderr: string }): void {
  t.is(result.code, 1);
  t.is(result.stdout, '');
  t.notRegex(result.stderr, /^\s+at .*\.ts:\d+/m, 'a message, no stack');
  t.regex(result.stderr, /DATABASE_URL=\S+ npm start/);
}

const apt = {
  'apt-get': 'exit 0',
  'apt-cache': 'echo "  Candidate: 1.0"',
  dpkg: 'exit 0',
};

test('no apt-get', async (t) => {
  const result = await setUp(pathWith(t, {}), 'root');
  isMessage(t, result);
  t.regex(result.stderr, /pg-maint needs .*g\+\+ and make, and this machine has no apt-get/);
});

test('not root and no sudo: the command to run as root', async (t) => {
  const result = await setUp(pathWith(t, { scripts: apt }), 'user');
  isMessage(t, result);
  t.regex(result.stderr, /neither root nor is there sudo/);
  t.regex(
    result.stderr,
    /Run as root: {2}apt-get update && apt-get install --no-install-recommends .*g\+\+ make/,
  );
});

test('sudo that wants a password, and nobody there to enter it', async (t) => {
  const result = await setUp(pathWith(t, { scripts: { ...apt, sudo: 'exit 1' } }), 'user');
  isMessage(t, result);
  t.regex(result.stderr, /sudo asks for a password/);
  t.regex(result.stderr, /Run as root: {2}apt-get update/);
});

test('no network', async (t) => {
  const sudo = `case "$*" in *apt-get*install*) echo "E: Could not resolve 'deb.debian.org'" >&2; exit 100;; esac`;
  const result = await setUp(pathWith(t, { scripts: { ...apt, sudo } }), 'user');
  isMessage(t, result);
  t.regex(result.stderr, /Could not resolve 'deb\.debian\.org'/);
  t.regex(result.stderr, /could not install .*g\+\+ make \(the whole log: .*set-up\.log\)/);
  t.regex(result.stderr, /that this works: {2}apt-get install --no-install-recommends .*g\+\+ make/);
});

test('no npm', async (t) => {
  const links = { sh: '/bin/sh', dirname: '/usr/bin/dirname' };
  const script = join(repository, 'build/with-set-up.sh');
  const result = await run('/bin/sh', [script, 'true'], {
    env: { PATH: pathWith(t, { links }) },
    allowFailure: true,
  });
  t.is(result.code, 1);
  t.regex(result.stderr, /needs Node\.js with npm .*there is no npm/);
});

/** A release that has just these packages, each with what it depends on. */
function release(packages: Record<string, string[]>, installed: string[] = []): PackageSource {
  return {
    candidate: (name) => Promise.resolve(name in packages ? '1.0' : null),
    dependencies: (name) => Promise.resolve(packages[name] ?? []),
    installed: (name) => Promise.resolve(installed.includes(name)),
  };
}

const nothing = { postgres: true, headersOf: null, commands: ['g++', 'make'] };

test('the version of PostgreSQL is the one of the release', async (t) => {
  const ubuntu = release({
    postgresql: ['postgresql-common', 'postgresql-16'],
    'postgresql-16': [],
    'postgresql-server-dev-16': [],
    'g++': [],
    make: [],
  });
  t.deepEqual(await packagesFor(nothing, ubuntu), [
    'postgresql-16',
    'postgresql-server-dev-16',
    'g++',
    'make',
  ]);
});

test('an optional package is taken where the release has it, and missed by nobody where it has not', async (t) => {
  const packages = optionalPackages(16, true);
  t.deepEqual(packages, ['postgresql-16-hypopg', 'pgbouncer']);
  t.deepEqual(optionalPackages(16, false), ['postgresql-16-hypopg'], 'only a test needs a pooler');
  t.deepEqual(await offered(packages, release({ 'postgresql-16-hypopg': [], pgbouncer: [] })), packages);
  t.deepEqual(await offered(packages, release({ pgbouncer: [] })), ['pgbouncer']);
  t.deepEqual(await offered(packages, release({})), []);
});

test('a server that lacks only its headers gets those of its version', async (t) => {
  const packages = { postgresql: ['postgresql-18'], 'postgresql-17': [], 'postgresql-server-dev-17': [] };
  const lack = { postgres: true, headersOf: 17, commands: [] };
  t.deepEqual(await packagesFor(lack, release(packages)), ['postgresql-17', 'postgresql-server-dev-17']);
});

test('a release whose PostgreSQL is too old', async (t) => {
  const error = await t.throwsAsync(packagesFor(nothing, release({ postgresql: ['postgresql-14'] })));
  t.regex(error.message, /needs PostgreSQL 15 or newer, and this release offers PostgreSQL 14/);
  t.regex(error.message, /apt\.postgresql\.org/);
  t.regex(error.message, /DATABASE_URL=/);
});

test('a release that has no PostgreSQL, or lists that were never fetched', async (t) => {
  const error = await t.throwsAsync(packagesFor(nothing, release({})));
  t.regex(error.message, /apt offers no PostgreSQL/);
  t.regex(error.message, /apt-get update/);
});

test('the V8 is the one of the release, without the JavaScript parts of its package', async (t) => {
  const source = release(
    { 'libnode-dev': ['libssl-dev', 'libnode115'], libnode115: ['libuv1t64', 'libicu76', 'node-acorn'] },
    ['libicu76'],
  );
  t.is(await libraryPackage(source), 'libnode115');
  t.deepEqual(await missingLibraries('libnode115', source), ['libuv1t64']);
  const error = await t.throwsAsync(libraryPackage(release({})));
  t.regex(error.message, /needs the V8 of the packages libnode-dev and libnode, and apt offers none/);
});

test('with DATABASE_URL, npm start needs no server here', (t) => {
  const named = { DATABASE_URL: 'postgresql://elsewhere/db' };
  t.deepEqual(needsOf('build/start.ts', named), { server: false, bundle: true, browser: false });
  t.deepEqual(needsOf('build/start.ts', {}), { server: true, bundle: true, browser: false });
  t.deepEqual(needsOf('build/test.ts', named), { server: true, bundle: true, browser: true });
  t.deepEqual(needsOf('build/check.ts', {}), { server: false, bundle: false, browser: false });
});

test('every npm script goes through set-up', async (t) => {
  const { default: packageJson } = (await import('../../package.json', { with: { type: 'json' } })) as {
    default: { scripts: Record<string, string> };
  };
  for (const [name, command] of Object.entries(packageJson.scripts)) {
    t.regex(command, /^sh build\/with-set-up\.sh node \S+( \w+)*$/, name);
  }
  t.true(existsSync(join(repository, 'build/with-set-up.sh')));
});
