import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aptSource, install, requireApt, updateLists, type PackageSource } from './apt.ts';
import { CannotServe, say, useAnotherServer } from './problem.ts';
import { outDirectory, setUpLog, v8Root } from '../paths.ts';
import { run } from '../run.ts';

const need = 'the V8 of the packages libnode-dev and libnode';

/**
 * V8's headers and library, unpacked into build/out/v8. Installing libnode-dev would throw out a Node.js that does
 * not come from Debian; unpacked, it is in nobody's way.
 */
export async function ensureV8(): Promise<void> {
  // Written last, so that a broken-off set-up starts anew.
  const stamp = join(v8Root, 'packages.json');
  if (existsSync(stamp)) return;
  requireApt(need);
  if ((await aptSource.candidate('libnode-dev')) === null) await updateLists(need, []);
  const library = await libraryPackage(aptSource);

  say(`unpacking libnode-dev ${library} …`);
  mkdirSync(outDirectory, { recursive: true });
  const folder = mkdtempSync(join(outDirectory, 'v8-'));
  try {
    const packages = await download(['libnode-dev', library], folder);
    const root = join(folder, 'root');
    for (const file of packages) await run('dpkg', ['-x', join(folder, file), root], { log: setUpLog });
    const missing = await missingLibraries(library, aptSource);
    if (missing.length > 0) {
      await updateLists(missing.join(' '), missing);
      await install(missing);
    }
    rmSync(v8Root, { recursive: true, force: true });
    renameSync(root, v8Root);
    writeFileSync(stamp, `${JSON.stringify(packages)}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** libnode108, libnode115, …: whichever the headers of this release belong to. */
export async function libraryPackage(source: PackageSource): Promise<string> {
  const library = (await source.dependencies('libnode-dev')).find((name) => /^libnode\d/.test(name));
  if (library === undefined) {
    throw new CannotServe(`pg-maint needs ${need}, and apt offers none.`, [
      'See that the machine reaches its package archive (on Ubuntu with its part "universe"):  apt-get update',
      useAnotherServer,
    ]);
  }
  return library;
}

async function download(names: readonly string[], folder: string): Promise<string[]> {
  const fetch = (): Promise<{ code: number; stderr: string }> =>
    run('apt-get', ['download', '-qq', ...names], { cwd: folder, log: setUpLog, allowFailure: true });
  let result = await fetch();
  if (result.code !== 0) {
    // Lists that are out of date name versions that the archive no longer has.
    await updateLists(need, []);
    result = await fetch();
  }
  if (result.code !== 0) {
    throw new CannotServe(`${result.stderr.trim()}\n\npg-maint could not fetch ${names.join(' and ')}.`, [
      `See that the machine reaches its package archive, and that this works:  apt-get download ${names.join(' ')}`,
      useAnotherServer,
    ]);
  }
  return readdirSync(folder).filter((file) => file.endsWith('.deb'));
}

/** The libraries that libnode is linked with; its JavaScript parts (node-acorn, …) are for Node itself. */
export async function missingLibraries(library: string, source: PackageSource): Promise<string[]> {
  const missing: string[] = [];
  for (const name of await source.dependencies(library)) {
    if (!name.startsWith('node-') && !(await source.installed(name))) missing.push(name);
  }
  return missing;
}
