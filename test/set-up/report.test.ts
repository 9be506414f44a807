import test from 'ava';
import { Report } from '../../build/test-run/report.ts';

function read(tap: string): { report: Report; printed: string } {
  const printed: string[] = [];
  const report = new Report((line) => printed.push(line));
  for (const line of tap.split('\n')) report.line(line);
  return { report, printed: printed.join('\n') };
}

test('counts what ava says, and shows why a test failed', (t) => {
  const { report, printed } = read(
    'TAP version 13\nok 1 - c # SKIP\nnot ok 2 - not ok 7 - odd title\n  ---\n    message: why\n  ...\nok 3 - b\n    a word of b\n\n1..3\n# fail 1',
  );
  t.true(report.complete);
  t.regex(printed, /not ok 7 - odd title\n {4}message: why\n.* b\n {4}a word of b$/);
  t.regex(
    report.closing(),
    /^[^\n]*not ok 7 - odd title\n {4}message: why\n\n1 passed, 1 failed, 1 skipped$/,
  );
});

test('a run that breaks off is not complete', (t) => {
  const { report } = read('TAP version 13\nok 1 - a');
  t.is(report.closing(), '1 passed, 0 failed');
  t.false(report.complete);
});
