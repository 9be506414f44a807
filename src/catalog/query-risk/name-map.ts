/** Values by schema and name. Both are looked up as they are: a key put together of them would be made anew each time. */
export class NameMap<Value> {
  readonly #schemas = new Map<string, Map<string, Value>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(schema: string, name: string): Value | undefined {
    return this.#schemas.get(schema)?.get(name);
  }

  set(schema: string, name: string, value: Value): void {
    let names = this.#schemas.get(schema);
    if (!names) {
      names = new Map();
      this.#schemas.set(schema, names);
    }
    if (!names.has(name)) this.#size += 1;
    names.set(name, value);
  }

  clear(): void {
    this.#schemas.clear();
    this.#size = 0;
  }
}
