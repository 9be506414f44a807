import { join, resolve } from 'node:path';

/** The folder of the clone. */
export const repository = resolve(import.meta.dirname, '..');

/** Everything the build makes; ignored by git, safe to delete at any time. */
export const outDirectory = join(repository, 'build', 'out');

/** Debian's V8, unpacked here because the package itself conflicts with a Node that is not Debian's. */
export const v8Root = join(outDirectory, 'v8');

export const setUpLog = join(outDirectory, 'set-up.log');

export const binDirectory = join(repository, 'node_modules', '.bin');
