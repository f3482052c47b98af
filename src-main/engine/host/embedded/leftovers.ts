import { readdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { takeLock } from '../../core/lock.ts';
import { isRunning, parseIdentity, readOptional } from '../../core/process-identity.ts';
import { isPrivateFolder, runtimeRoots } from './runtime-dir.ts';

/** A host killed together with its cell leaves only its runtime folder. */
export interface HostLeftover {
  readonly runtimeDir: string;
  /** Uuid of the environment, undefined when unknown. */
  readonly id: string | undefined;
  /** The host's state folder in the prefix. */
  readonly stateDir: string | undefined;
}

/** A younger folder without a process may belong to a host that is just starting. */
const STARTING_MS = 60_000;

/** Runtime folders of this user whose cell is no longer running. Read-only. */
export function findLeftovers(environment: NodeJS.ProcessEnv = process.env): HostLeftover[] {
  return runtimeRoots(environment).flatMap((root) => {
    if (!isPrivateFolder(root)) return [];
    return readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && /^[0-9a-f]{12}$/.test(entry.name))
      .map((entry) => join(root, entry.name))
      .filter(isDead)
      .map((runtimeDir) => ({ runtimeDir, ...ownerOf(runtimeDir) }));
  });
}

function isDead(runtimeDir: string): boolean {
  const identity = parseIdentity(readOptional(join(runtimeDir, 'cell')) ?? '');
  if (identity !== undefined) return !isRunning(identity);
  const found = statSync(runtimeDir, { throwIfNoEntry: false });
  return found !== undefined && Date.now() - found.mtimeMs > STARTING_MS;
}

function ownerOf(runtimeDir: string): { readonly id: string | undefined; readonly stateDir: string | undefined } {
  const text = readOptional(join(runtimeDir, 'facts.json')) ?? '';
  const field = (name: string): string | undefined => new RegExp(`"${name}":"([^"\\\\]*)"`).exec(text)?.[1];
  return { id: field('id'), stateDir: field('stateDir') };
}

/** Removes what `findLeftovers` finds and returns what was removed. A host that is starting meanwhile is left alone. */
export async function cleanLeftovers(environment: NodeJS.ProcessEnv = process.env): Promise<HostLeftover[]> {
  const removed: HostLeftover[] = [];
  for (const leftover of findLeftovers(environment)) {
    if (await removeLeftover(leftover)) removed.push(leftover);
  }
  return removed;
}

async function removeLeftover({ runtimeDir, stateDir }: HostLeftover): Promise<boolean> {
  const lockPath = stateDir === undefined ? undefined : join(stateDir, 'lock');
  if (lockPath === undefined || stateDir === undefined || statSync(lockPath, { throwIfNoEntry: false }) === undefined) {
    await rm(runtimeDir, { recursive: true, force: true });
    return true;
  }
  try {
    // A cell holds this lock from before it creates its runtime folder until it ends.
    await using _lock = await takeLock(lockPath, { purpose: 'clean' });
    await rm(runtimeDir, { recursive: true, force: true });
    const recorded = parseIdentity(readOptional(join(stateDir, 'cell')) ?? '');
    if (recorded !== undefined && !isRunning(recorded)) await rm(join(stateDir, 'cell'), { force: true });
    return true;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'conflict.locked') return false;
    throw error;
  }
}
