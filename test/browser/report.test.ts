/** The report in a real browser. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import { outDirectory } from '../../build/paths.ts';
import { findBrowser } from '../../build/set-up/browser.ts';
import { printable } from '../../src/worker/printable.ts';
import { command } from '../support/cli.ts';
import { temporaryFolder } from '../support/command.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { makeTables, plansOfLongAgo, steady, trainNow, writeHistory } from '../support/query-risk.ts';
import { fillReport, hostile } from '../support/report-data.ts';

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let browser: Browser;

/** For whoever wants to look at what was tested. */
const folder = join(outDirectory, 'screenshots');

test.before(async () => {
  mkdirSync(folder, { recursive: true });
  const executablePath = findBrowser();
  if (executablePath === null) throw new Error('there is no Chromium: npm test installs one');
  browser = await chromium.launch({ executablePath, args: flags });
});

test.after.always(async () => {
  await browser.close();
});

interface Opened {
  page: Page;
  /** Messages of the console, errors of the page, and requests other than for the file itself. */
  complaints: string[];
}

async function open(
  t: ExecutionContext,
  file: string,
  look: { width?: number; colorScheme?: 'light' | 'dark' } = {},
): Promise<Opened> {
  const { width = 1280, colorScheme = 'light' } = look;
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  t.teardown(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  const url = pathToFileURL(file).href;
  page.on('console', (message) => complaints.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('request', (request) => {
    if (request.url() !== url && !request.url().startsWith('data:'))
      complaints.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  return { page, complaints };
}

/** The browser's own code is text here: it is not of this program. */
async function styleOf(page: Page, selector: string, property: string): Promise<string> {
  return await page.evaluate<string>(
    `getComputedStyle(document.querySelector(${JSON.stringify(selector)})).${property}`,
  );
}

/** Two models, truly trained: one that is in use, and one after it that is no better. */
async function trainModels(database: TestDatabase): Promise<void> {
  await makeTables(database);
  await database.query(`select maint.configure('features.ml_interception.slow_ms', '20')`);
  await writeHistory(database, 96, steady);
  await plansOfLongAgo(database);
  await trainNow(database);
  await database.query(`update maint.model set trained_at = trained_at - interval '7 days';
    update maint.query_plan set planned_at = planned_at - interval '6 days' where planned_at > now() - interval '1 hour'`);
  await trainNow(database);
}

/** Writes the report of a database that has something in every part. */
async function filledReport(t: ExecutionContext, { models = false } = {}): Promise<string> {
  const database = await createDatabase(t, { template: 'installed' });
  if (models) await trainModels(database);
  await fillReport(database);
  const file = join(temporaryFolder(t), 'report.html');
  const { code, out, error } = await command('report', database.url, '-o', file);
  t.is(code, 0, error);
  t.is(out, `wrote ${file}\n`);
  return file;
}

test('charts and texts are there, nothing is asked of the network, names are text', async (t) => {
  const file = await filledReport(t);
  const { page, complaints } = await open(t, file);
  // Open findings, four indexes, bytes given back, workload, safeguards.
  t.is(await page.locator('figure .chart svg.wide path').first().count(), 1);
  t.is(await page.locator('figure').count(), 8);
  for (const chart of await page.locator('figure .chart svg.wide').all()) {
    const box = await chart.boundingBox();
    t.true(box !== null && box.width > 200 && box.height > 100);
    t.true((await chart.locator('path').count()) > 5);
  }
  t.is(await page.locator('figure .chart svg.narrow:visible').count(), 0);
  const text = (await page.locator('body').textContent()) ?? '';
  for (const name of hostile) {
    const shown = printable(name);
    t.true(text.includes(shown.replaceAll('"', '""')), JSON.stringify(name));
  }
  t.is(await page.title(), (await page.locator('h1').textContent()) ?? '');
  t.is(await page.locator('#escaped, script, img').count(), 0);
  for (const missing of await page.locator('.missing').allTextContents())
    t.regex(missing, /has no view maint\.|No model was trained|^All was examined\.$/);
  t.deepEqual(complaints, []);
});

test('how good the models are is drawn: against what needs none, and against what happened', async (t) => {
  const file = await filledReport(t, { models: true });
  const { page, complaints } = await open(t, file);
  const section = page.locator('#models');
  t.regex((await section.locator('p').first().textContent()) ?? '', /in use\s+· query_risk · trained/);
  t.deepEqual(await section.locator('figcaption').allTextContents(), [
    'Beside what needs no model',
    'What it foretold, and what happened',
    'What it goes by',
    'From training to training',
  ]);
  const [beside, calibration] = [section.locator('figure').nth(0), section.locator('figure').nth(1)];
  // The figures of a database whose slow statements the planner's cost does not tell: bars of three, each with its number.
  t.is(
    await beside
      .locator('svg.wide text')
      .filter({ hasText: /^[01]\.\d\d$/ })
      .count(),
    6 + 5,
  );
  t.regex(
    (await beside.locator('.says').textContent()) ?? '',
    /in \d\d+ % of all cases, the planner’s cost alone in \d\d %/,
  );
  await calibration.locator('summary').click();
  const groups = await calibration.locator('tbody tr').allTextContents();
  t.is(groups.length, 10);
  t.deepEqual(complaints, []);
});

test('fits a wide and a narrow page, light and dark', async (t) => {
  const file = await filledReport(t, { models: true });
  // For whoever wants to look more closely.
  copyFileSync(file, join(folder, 'report.html'));
  const seen: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1280, 390]) {
      const { page, complaints } = await open(t, file, { width, colorScheme });
      const overflow = await page.evaluate<number>(
        'document.documentElement.scrollWidth - document.documentElement.clientWidth',
      );
      t.is(overflow, 0, `${colorScheme} ${width}: wider than the page`);
      t.is(await page.locator(`svg.${width === 390 ? 'narrow' : 'wide'}:visible`).count(), 12);
      t.deepEqual(await page.evaluate(cutLetters), [], `${colorScheme} ${width}: letters that are cut off`);
      await page.screenshot({ path: join(folder, `report-${colorScheme}-${width}.png`), fullPage: true });
      seen.push(await styleOf(page, 'body', 'backgroundColor'));
      // The letters of a chart have a colour of the page, not one of their own.
      const ink = await styleOf(page, 'figure svg text', 'fill');
      t.is(ink, await styleOf(page, 'body', 'color'));
      t.deepEqual(complaints, []);
    }
  }
  t.is(seen[0], seen[1]);
  t.not(seen[0], seen[2]);
});

/** Letters in charts that reach beyond their drawing. */
const cutLetters = `[...document.querySelectorAll('.chart svg')].flatMap((svg) => {
  const frame = svg.getBoundingClientRect();
  return frame.width === 0 ? [] : [...svg.querySelectorAll('text')].filter((text) => {
    const box = text.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
  }).map((text) => text.textContent);
})`;

/** Of a colour as the browser writes it, by the formula of WCAG 2. */
function luminance(colour: string): number {
  const [r = 0, g = 0, b = 0] = (colour.match(/[\d.]+/g) ?? []).map((each) => {
    const part = Number(each) / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

test('works without a mouse and without eyes', async (t) => {
  const { page } = await open(t, await filledReport(t));
  await page.keyboard.press('Tab');
  t.is(await page.evaluate<string>('document.activeElement.textContent'), 'To the content');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForURL(/#overview$/);
  t.regex(page.url(), /#overview$/);
  const details = page.locator('details').first();
  await details.locator('summary').focus();
  await page.keyboard.press('Enter');
  await page.locator('details[open]').first().waitFor();
  t.not(await details.getAttribute('open'), null);
  for (const chart of await page.locator('.chart').all()) {
    t.is(await chart.getAttribute('role'), 'img');
    t.true(((await chart.getAttribute('aria-label')) ?? '').length > 20);
    t.is(await chart.locator('svg:not([aria-hidden=true])').count(), 0);
  }
  // Every part has a heading that names it, and no level is left out.
  const levels = await page.evaluate<string[]>(
    `[...document.querySelectorAll('h1, h2, h3')].map(({ tagName }) => tagName)`,
  );
  t.is(levels[0], 'H1');
  t.true(levels.slice(1).every((level) => level === 'H2'));
  t.is(await page.locator('html').getAttribute('lang'), 'en');
  // WCAG 2 asks for a contrast of 4.5.
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const card = luminance(await styleOf(page, 'section', 'backgroundColor'));
    for (const selector of ['.says', '.kind', '.critical', '.warning', '.info', '.good', 'summary']) {
      const text = luminance(await styleOf(page, selector, 'color'));
      const contrast = (Math.max(card, text) + 0.05) / (Math.min(card, text) + 0.05);
      t.true(contrast >= 4.5, `${colorScheme} ${selector} ${contrast}`);
    }
  }
});

test('prints on paper, with black letters whatever the screen has', async (t) => {
  const { page } = await open(t, await filledReport(t), { colorScheme: 'dark' });
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  t.is(await styleOf(page, 'body', 'color'), 'rgb(0, 0, 0)');
  t.is(await page.locator('nav').isVisible(), false);
  const pdf = await page.pdf({ format: 'A4' });
  t.true(pdf.length > 20_000);
  writeFileSync(join(folder, 'report.pdf'), pdf);
});

test('a database that was never looked at is unknown, and each part says why it is empty', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const file = join(temporaryFolder(t), 'report.html');
  t.is((await command('report', database.url, '-o', file)).code, 0);
  const { page, complaints } = await open(t, file);
  t.regex((await page.locator('.verdict').textContent()) ?? '', /unknown · nothing has run yet/);
  const reasons = await page.locator('.missing').allTextContents();
  t.true(reasons.length >= 6);
  for (const reason of reasons) t.regex(reason, /\.$/);
  t.true(reasons.includes('Step 8 has not run yet.') || reasons.some((each) => /no view/.test(each)));
  t.deepEqual(complaints, []);
});
