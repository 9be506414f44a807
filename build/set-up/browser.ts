import { existsSync } from 'node:fs';
import { aptSource, install, requireApt, updateLists } from './apt.ts';
import { CannotServe } from './problem.ts';

/** Where packages put it. */
const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
];

/** The browser that the tests of the report run in: the variable CHROMIUM, or one that is installed; null for none. */
export function findBrowser(environment: NodeJS.ProcessEnv = process.env): string | null {
  const named = environment['CHROMIUM'] ?? '';
  return named !== '' ? named : (places.find((path) => existsSync(path)) ?? null);
}

/** Chromium, installed where there is none. */
export async function ensureBrowser(): Promise<void> {
  if (findBrowser() !== null) return;
  requireApt('Chromium, in which the report is tested');
  await updateLists('Chromium', ['chromium']);
  if ((await aptSource.candidate('chromium')) === null) {
    throw new CannotServe('The report is tested in Chromium, and apt knows no package chromium.', [
      'Install it or Chrome by hand, and name it:  CHROMIUM=/path/to/chromium npm test',
    ]);
  }
  await install(['chromium']);
}
