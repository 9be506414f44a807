export default {
  files: ['test/**/*.test.ts'],
  extensions: ['ts'],
  timeout: '5m',
  workerThreads: false,
  // The machine has two cores and every test file talks to one shared PostgreSQL.
  concurrency: 2,
};
