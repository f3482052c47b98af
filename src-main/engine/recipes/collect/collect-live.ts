import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CollectedArtifact } from '../../../../src-shared/collection.ts';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import { guestPath, lookAt } from '../../copy/guest-files.ts';
import { CopyProgress } from '../../copy/progress.ts';
import { receiveTo } from '../../copy/receive.ts';
import type { Step } from '../../core/operation.ts';
import type { GuestVisit } from '../../runtime/access.ts';

/** A path to collect and its name in the VM's folder. */
export interface WantedArtifact {
  readonly path: string;
  readonly name: string;
}

/** Collects from a VM that runs, by ssh. What one path lacks is in its record; only a VM that is lost meanwhile is an error. */
export async function collectLive(
  guest: GuestVisit,
  wanted: readonly WantedArtifact[],
  folder: string,
  step: Step,
): Promise<CollectedArtifact[]> {
  const { connection } = guest;
  const signal = AbortSignal.any([step.signal, guest.stopped]);
  const progress = new CopyProgress(step);
  const collected: CollectedArtifact[] = [];
  await mkdir(folder, { recursive: true });
  for (const { path, name } of wanted) {
    const before = progress.bytes;
    const there = await lookAt(connection, guestPath(path), signal);
    if (there.kind === 'missing' || there.kind === 'link') {
      collected.push(missingArtifact(path));
      continue;
    }
    let problem: string | null = null;
    try {
      await receiveTo({ connection, step, signal, progress }, there, join(folder, name));
    } catch (error) {
      if (isCancelled(error) || signal.aborted || !(error instanceof EngineError) || error.code === 'guest.unreachable') throw error;
      problem = error.message;
      step.log.warn(error.message);
    }
    collected.push({ path, name, size: progress.bytes - before, problem, missing: false });
  }
  return collected;
}

export function missingArtifact(path: string): CollectedArtifact {
  return { path, name: null, size: 0, problem: `There is nothing at ${path}.`, missing: true };
}
