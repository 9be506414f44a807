/** The checks of step 1, one line each; they run in this order. */
import { btreeStructure } from './btree-structure.ts';
import type { IntegrityCheck } from './check.ts';
import { checksumFailure } from './checksum-failure.ts';
import { collationVersionDrift } from './collation-version-drift.ts';
import { constraintIndexInvalid } from './constraint-index-invalid.ts';
import { constraintNotValid } from './constraint-not-valid.ts';
import { danglingCatalogRow } from './dangling-catalog-row.ts';
import { foreignKeyDisabled } from './foreign-key-disabled.ts';
import { foreignKeyTypeMismatch } from './foreign-key-type-mismatch.ts';
import { maintMetadata } from './maint-metadata.ts';
import { sequenceNearEnd } from './sequence-near-end.ts';
import { transactionIdAge } from './transaction-id-age.ts';

export const integrityChecks: readonly IntegrityCheck[] = [
  constraintNotValid,
  constraintIndexInvalid,
  foreignKeyTypeMismatch,
  foreignKeyDisabled,
  danglingCatalogRow,
  sequenceNearEnd,
  transactionIdAge,
  collationVersionDrift,
  checksumFailure,
  maintMetadata,
  // Last: it takes what its time budget allows.
  btreeStructure,
];
