import test from 'ava';
import { createDatabase } from '../support/database.ts';

test('a database from the template has pg-maint installed', async (t) => {
  const databases = await Promise.all([1, 2, 3].map(() => createDatabase(t, { template: 'installed' })));
  for (const database of databases) {
    const rows = await database.query(`select pg_catalog.to_regproc('maint.run') is not null as installed`);
    t.deepEqual(rows, [{ installed: true }]);
  }
});
