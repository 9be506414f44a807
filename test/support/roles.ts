import pg from 'pg';
import type { TestDatabase } from './database.ts';

/** Somebody else made it: duplicate_object, or unique_violation when it was at the same moment. */
const alreadyThere = new Set(['42710', '23505']);

/** Roles belong to the server, which other tests use at the same time: made once, never dropped. */
export async function provideRoles(database: TestDatabase): Promise<void> {
  for (const role of ['maint_reader', 'maint_operator', 'test_plain']) {
    try {
      await database.query(`create role ${role}`);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || !alreadyThere.has(error.code ?? '')) throw error;
    }
  }
}
