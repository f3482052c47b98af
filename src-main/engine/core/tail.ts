/** The last `limit` bytes of what was pushed. Memory stays within that and one chunk. */
export class Tail {
  readonly #chunks: Uint8Array[] = [];
  readonly #limit: number;
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (this.#size - (this.#chunks[0]?.length ?? 0) >= this.#limit) this.#size -= this.#chunks.shift()?.length ?? 0;
  }

  /** As UTF-8; a character that was cut in two is a replacement character. */
  toString(): string {
    return Buffer.concat(this.#chunks).subarray(-this.#limit).toString('utf8');
  }
}
