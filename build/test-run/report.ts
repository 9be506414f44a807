import { styleText } from 'node:util';

/** What a test run came to. */
export interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/** How much of a failure is repeated at the end: all of it stands above, and a log may be cut to its last lines. */
const linesOfAFailure = 40;

/**
 * Reads ava's TAP line by line: counts what it says and turns it into the lines that people read. TAP rather than
 * ava's own display, because that one leaves out how many passed as soon as one fails.
 */
export class Report {
  readonly count: Count = { passed: 0, failed: 0, skipped: 0 };
  /** Set when ava came to the end of its run; without it the counts are not to be trusted. */
  complete = false;
  /** For each test that failed: its line, and what ava said below it. */
  private readonly failures: string[][] = [];
  private inFailure = false;
  private readonly print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.print = print;
  }

  line(line: string): void {
    const test = /^(not )?ok \d+ - (.*?)( # SKIP| # TODO)?$/.exec(line);
    if (test !== null) {
      this.inFailure = test[1] !== undefined;
      this.test(test[2] ?? '', test[1] === undefined, test[3] !== undefined);
    } else if (/^1\.\.\d+$/.test(line)) {
      this.complete = true;
    } else if (
      !/^TAP version|^# (tests|pass|skip|todo|fail) \d+$|^ {2}(---|\.\.\.)$/.test(line) &&
      line !== ''
    ) {
      if (this.inFailure && line.startsWith(' ')) this.failures.at(-1)?.push(line);
      this.print(line);
    }
  }

  private test(title: string, passed: boolean, skipped: boolean): void {
    if (skipped) {
      this.count.skipped += 1;
      this.print(`- ${title} (skipped)`);
    } else if (passed) {
      this.count.passed += 1;
      this.print(`${styleText('green', '✔')} ${title}`);
    } else {
      this.count.failed += 1;
      const line = `${styleText('red', '✘')} ${title}`;
      this.failures.push([line]);
      this.print(line);
    }
  }

  /** What failed once more, since who reads a log begins at its end; the last line is the count. */
  closing(): string {
    const { passed, failed, skipped } = this.count;
    const count = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
    const again = this.failures.flatMap((lines) => [...lines.slice(0, linesOfAFailure), '']);
    return [...again, count].join('\n');
  }
}
