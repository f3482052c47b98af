import type { ElectronApplication } from '@playwright/test';
import type * as electron from 'electron';

type Electron = typeof electron;

/**
 * The main process's answer can get lost: V8's inspector holds it only weakly, so a garbage collection before the next turn of the event
 * loop frees it. The requested work has been done by then.
 */
function isLostAnswer(error: unknown): boolean {
  return error instanceof Error && error.message.includes('promise was garbage collected');
}

/** Does something in the main process and ignores the answer. */
export async function doInMain<A = null>(app: ElectronApplication, work: (electron: Electron, arg: A) => void, arg?: A): Promise<void> {
  try {
    await app.evaluate(work as (electron: Electron, arg: unknown) => void, arg ?? null);
  } catch (error) {
    if (!isLostAnswer(error)) throw error;
  }
}

/** Asks the main process a question that may be repeated; asks again when the answer got lost. */
export async function askMain<T>(app: ElectronApplication, question: (electron: Electron) => T): Promise<T> {
  for (;;) {
    try {
      return await app.evaluate(question);
    } catch (error) {
      if (!isLostAnswer(error)) throw error;
    }
  }
}
