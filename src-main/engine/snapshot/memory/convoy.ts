import { sleep } from '../../core/until.ts';

/**
 * Lets VMs that write their memory side by side come to the end together: each begins when no other has more left to write than it has
 * itself. Otherwise a small one is done long before a large one, and QEMU stops it then, however long the others still need.
 */
export class Convoy {
  readonly #left: Map<string, number>;
  #halted = false;

  /** `memory`: bytes of each VM that is to be written, by domain. All of them take their turn, or are `done`. */
  constructor(memory: ReadonlyMap<string, number>) {
    this.#left = new Map(memory);
  }

  /** Waits until a VM is to begin. */
  async turn(domain: string, signal: AbortSignal): Promise<void> {
    const own = this.#left.get(domain) ?? 0;
    while (!this.#halted && Math.max(...this.#left.values()) > own) await sleep(10, signal);
  }

  /** A VM has so many bytes left to write. */
  progress(domain: string, left: number): void {
    this.#left.set(domain, left);
  }

  /** QEMU has stopped a VM, which waits for the others from here on. */
  halt(): void {
    this.#halted = true;
  }

  /** Whether one of them waits for the others: no time is left to let them run. */
  get halted(): boolean {
    return this.#halted;
  }

  /** A VM has written nearly everything, or is not written in this way. */
  done(domain: string): void {
    this.#left.delete(domain);
  }
}
