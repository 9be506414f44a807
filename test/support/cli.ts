/** The command line, called in the test's own process. */
import { main } from '../../src/worker/cli.ts';

export interface Answer {
  code: number;
  out: string;
  error: string;
}

export async function command(...words: string[]): Promise<Answer> {
  const answer = { code: -1, out: '', error: '' };
  answer.code = await main(words, {
    write: (text) => (answer.out += text),
    writeError: (text) => (answer.error += text),
    colour: false,
  });
  return answer;
}
