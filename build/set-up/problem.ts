/** A machine that can't serve: told to the user as one plain message, without a stack. */
export class CannotServe extends Error {
  constructor(missing: string, remedies: readonly string[]) {
    super([missing, ...remedies.map((remedy) => `  ${remedy}`)].join('\n'));
    this.name = 'CannotServe';
  }
}

/** What always helps: a server elsewhere that has a JavaScript engine. */
export const useAnotherServer =
  'Or use another server, one that offers plv8:  DATABASE_URL=postgresql://user@host/database npm start';

/** One line for each thing done. On standard error: standard output belongs to the command that follows. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
