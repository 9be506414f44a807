/** The kinds of actions, one line each. */
import type { ActionKind, Kind } from './action.ts';
import { analyzeTable } from './analyze-table.ts';
import createIndex from './create-index.ts';
import dropIndex from './drop-index.ts';
import reindexIndex from './reindex-index.ts';
import { terminateBackend } from './terminate-backend.ts';

const kinds: { readonly [Each in Kind]: ActionKind<Each> } = {
  drop_index: dropIndex,
  create_index: createIndex,
  reindex_index: reindexIndex,
  analyze_table: analyzeTable,
  terminate_backend: terminateBackend,
};

export function actionKind(kind: Kind): ActionKind {
  return kinds[kind];
}
