/** What of two looks at a materialized view tells a refresh, and what its base tables changed. */
import test from 'ava';
import type { MaterializedView, MatviewState } from '../../src/catalog/materialized-views.ts';
import { nextSample } from '../../src/catalog/matview-staleness.ts';

const seen: MatviewState = {
  filenode: 1,
  row_version: '10',
  row_digest: 'd',
  own_writes: 5,
  own_scans: 3,
  base: { 7: [100, 2, false, 4] },
};

/** The view as it is now, after a sample of an hour ago. */
function view(now: Partial<MatviewState>): MaterializedView {
  const sample = {
    ...seen,
    changes: 2,
    refreshed_before: 'long ago',
    sampled_at: 'an hour ago',
    age_hours: 50,
  };
  return { ...seen, ...now, sample } as MaterializedView;
}

test('what a concurrent refresh wrote and its session reported late makes the view as fresh as the sample before', (t) => {
  const late = nextSample(view({ own_writes: 8, base: { 7: [104, 2, false, 9] } }), 'now');
  t.like(late, { changes: 4, refreshed_before: 'an hour ago' });
  const seenWithIt = nextSample(view({ own_writes: 8, row_version: '11' }), 'now');
  t.like(seenWithIt, { changes: 0, refreshed_before: 'now' });
});

test('an unlogged table that a crash has emptied is a change, though its counters began anew', (t) => {
  const emptied = nextSample(view({ own_writes: 0, base: { 7: [0, 2, true, 0] } }), 'now');
  t.like(emptied, { changes: 3, refreshed_before: 'long ago' });
  const reset = nextSample(view({ own_writes: 0, base: { 7: [0, 2, false, 0] } }), 'now');
  t.like(reset, { changes: 2, refreshed_before: 'long ago' });
});
