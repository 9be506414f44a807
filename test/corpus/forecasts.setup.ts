/** Indexes with a history of their bloat: some grow towards their threshold, others do not. */
import { forecast, grow, noise, withHistory } from '../support/forecasts.ts';
import type { SetUp } from './fixtures.ts';

//! index.forecast_bloat app."grows 0" app."grows 1" app."grows 2" app."grows 3" app."grows 4" app."grows 5" app."grows 6" app."grows 7"
//! not index.forecast_bloat app.flat : stays where it is
//! not index.forecast_bloat app."past it" : above its threshold already: step 7 tells of it
//! not index.forecast_bloat app.young : five days are no history
//! clean app.flat app."past it" app.young

const setUp: SetUp = async (database) => {
  await database.query('create schema app');
  await grow(database, 'app', 0.3);
  await withHistory(database, 'flat', 60, (ago) => 5 + noise(99, ago) / 4, 'app');
  await withHistory(database, 'past it', 60, (ago) => 30 - ago / 10, 'app');
  await withHistory(database, 'young', 5, () => 3, 'app');
  await forecast(database);
};

export default setUp;
