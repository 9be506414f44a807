/** The advisory locks of pg-maint; what is in schema maint already is locked by rows of maint.lock instead. */

/** Takes part in each of them, as its first key. */
export const lockClass = 1_835_100_526;
/** Held by a run of a version before maint.lock to the end of its transaction. */
export const runLock = 1;
/** Held by install, uninstall and the start of a worker to the end of their transaction: see src/worker/trusted-lock.ts. */
export const installLock = 2;
