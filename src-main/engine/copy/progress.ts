import { formatBytes } from '../../../src-shared/bytes.ts';
import type { Step } from '../core/operation.ts';

/** Counts files and bytes of one copy and shows them on its step. */
export class CopyProgress {
  readonly #step: Pick<Step, 'progress'>;
  #total: { readonly files: number; readonly bytes: number } | undefined;
  files = 0;
  bytes = 0;

  constructor(step: Pick<Step, 'progress'>) {
    this.#step = step;
  }

  /** Sets what there is to copy, once that is known. */
  expect(files: number, bytes: number): void {
    this.#total = { files, bytes };
  }

  addBytes(count: number): void {
    this.bytes += count;
    this.#show();
  }

  addFile(): void {
    this.files += 1;
    this.#show();
  }

  #show(): void {
    const total = this.#total;
    if (total === undefined) {
      this.#step.progress(0, `${counted(this.files)}, ${formatBytes(this.bytes)}`);
      return;
    }
    // Small files cost time too: each counts like 4 KiB.
    const weight = (files: number, bytes: number): number => files * 4096 + bytes;
    const fraction = weight(this.files, this.bytes) / Math.max(1, weight(total.files, total.bytes));
    const files = total.files === 1 ? '' : `${this.files} of ${counted(total.files)}, `;
    this.#step.progress(Math.min(1, fraction), `${files}${formatBytes(this.bytes)} of ${formatBytes(total.bytes)}`);
  }
}

function counted(files: number): string {
  return files === 1 ? '1 file' : `${files} files`;
}
