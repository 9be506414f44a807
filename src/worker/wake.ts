/** A sleep that can be cut short, also by what happened just before it began. */
export class Wake {
  #woken = false;
  #end: (() => void) | undefined;

  readonly now = (): void => {
    this.#woken = true;
    this.#end?.();
  };

  async sleep(milliseconds: number): Promise<void> {
    if (!this.#woken) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#end = resolve;
        timer = setTimeout(resolve, milliseconds);
      });
      clearTimeout(timer);
      this.#end = undefined;
    }
    this.#woken = false;
  }
}
