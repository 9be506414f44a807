/** The advisory locks of pg-maint. SQL functions have the same numbers: maint.start_run, take_query_snapshot and others. */

/** Takes part in each of them, as its first key. */
export const lockClass = 1_835_100_526;
/** Held by a run to the end of its transaction. */
export const runLock = 1;
/** Held by install and uninstall to the end of their transaction. */
export const installLock = 2;
/** Held by whoever notes which index is which, to the end of its transaction: a run, or a worker that measures. */
export const identityLock = 4;
