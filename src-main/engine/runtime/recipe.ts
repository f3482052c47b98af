import { access } from 'node:fs/promises';
import { EngineError } from '../../../src-shared/errors.ts';
import type { EngineSettings } from '../configuration/settings.ts';
import { type HeldLock, takeLock } from '../core/lock.ts';
import type { OpenMemorySinks } from '../host/memory-sink.ts';
import type { PluginRegistry } from '../plugins/registry.ts';
import type { PrefixPaths } from '../prefix/layout.ts';
import type { Prefix } from '../prefix/prefix.ts';
import type { HostAccess } from './session.ts';

/** What every recipe needs from the engine. */
export interface RecipeContext {
  readonly hosts: HostAccess;
  readonly settings: EngineSettings;
  readonly resourcesDir: string;
  readonly plugins: PluginRegistry;
  /** Where the memory of VMs is written to; without it, `memorySinks`. */
  readonly openSinks?: OpenMemorySinks;
}

/**
 * Takes the prefix's write lock, so that only one command of all processes changes it at a time; readers need no lock. Throws
 * `conflict.locked` at once, naming the holder.
 */
export async function lockPrefix(paths: PrefixPaths, purpose: string, signal: AbortSignal): Promise<HeldLock> {
  await access(paths.root).catch((error: unknown) => {
    throw new EngineError('prefix.missing', `There is no environment at ${paths.root}.`, { cause: error });
  });
  try {
    return await takeLock(paths.lock, { purpose, signal, waitMs: 300 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new EngineError('prefix.missing', `The environment at ${paths.root} was removed meanwhile.`, { cause: error });
    }
    if (!(error instanceof EngineError) || error.code !== 'conflict.locked') throw error;
    const holder = error.message.split(' is locked by ')[1] ?? 'another command.';
    throw new EngineError('conflict.locked', `The environment at ${paths.root} is in use by ${holder}`, {
      cause: error,
      hint: 'Wait until it has finished, or cancel it there.',
    });
  }
}

/** Rejects a prefix that is half-made or cleaned up. */
export function requireReady(prefix: Prefix): void {
  if (prefix.record?.phase === 'creating') {
    throw new EngineError('prefix.missing', `The environment ${prefix.name} was not finished: its creation was interrupted.`, {
      hint: 'Destroy it ("lago destroy") and create it again.',
    });
  }
  if (prefix.record?.pending?.kind === 'destroy') {
    throw new EngineError('prefix.missing', `The environment ${prefix.name} was not removed completely: its destruction was interrupted.`, {
      hint: 'Finish it with "lago destroy".',
    });
  }
  if (!prefix.initialized) {
    throw new EngineError('prefix.missing', `The environment ${prefix.name} was cleaned up.`, {
      hint: 'Destroy it ("lago destroy") and create it again.',
    });
  }
}
