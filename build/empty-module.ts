/** Stands for a module that is bundled but never called: see buildWorker in bundle.ts. */
export default {};
