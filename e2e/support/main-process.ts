import type { ElectronApplication } from '@playwright/test';
import type * as electron from 'electron';

type Electron = typeof electron;

/**
 * The answer of the main process can get lost: V8's inspector keeps only a weak hold of it, and it is not there any more when memory is
 * tidied up before the loop turns again. What was asked for has been done by then.
 */
function isLostAnswer(error: unknown): boolean {
  return error instanceof Error && error.message.includes('promise was garbage collected');
}

/** Does something in the main process, whose answer is of no interest. */
export async function doInMain<A = null>(app: ElectronApplication, work: (electron: Electron, arg: A) => void, arg?: A): Promise<void> {
  try {
    await app.evaluate(work as (electron: Electron, arg: unknown) => void, arg ?? null);
  } catch (error) {
    if (!isLostAnswer(error)) throw error;
  }
}

/** Asks the main process for something that may be asked more than once; an answer that was lost is asked for again. */
export async function askMain<T>(app: ElectronApplication, question: (electron: Electron) => T): Promise<T> {
  for (;;) {
    try {
      return await app.evaluate(question);
    } catch (error) {
      if (!isLostAnswer(error)) throw error;
    }
  }
}
