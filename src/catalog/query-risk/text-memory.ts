/** What goes with a text apart from the text: a few numbers and names. */
const entryCharacters = 200;

/** Values by text, of as many characters in all as are given: then it begins anew. No text takes more than a hundredth. */
export class TextMemory<Value> {
  readonly #mostCharacters: number;
  readonly #values = new Map<string, Value>();
  #characters = 0;

  constructor(mostCharacters: number) {
    this.#mostCharacters = mostCharacters;
  }

  get(text: string): Value | undefined {
    return this.#values.get(text);
  }

  set(text: string, value: Value): void {
    if (!this.#values.has(text)) {
      const characters = text.length + entryCharacters;
      if (characters > this.#mostCharacters / 100) return;
      if (this.#characters + characters > this.#mostCharacters) {
        this.#values.clear();
        this.#characters = 0;
      }
      this.#characters += characters;
    }
    this.#values.set(text, value);
  }
}
