import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson, writeJson } from '../core/files/json-file.ts';
import { takeLock } from '../core/lock.ts';

const Known = z.object({
  version: z.literal(1),
  /** Absolute paths of prefixes that this user created or opened. */
  prefixes: z.array(z.string()),
  /** Recently used init files, newest first. */
  recent: z.array(z.object({ path: z.string(), name: z.string(), usedAt: z.number() })),
});
type Known = z.infer<typeof Known>;

const EMPTY: Known = { version: 1, prefixes: [], recent: [] };
const RECENT = 10;

/** The user's list of environments and recent init files, shared by all of the user's windows and commands. */
export interface KnownEnvironments {
  /** Path of the file, for watchers. */
  readonly file: string;
  list(): Promise<readonly string[]>;
  recent(): Promise<Known['recent']>;
  add(prefix: string, initFile?: { readonly path: string; readonly name: string }): Promise<void>;
  remove(prefix: string): Promise<void>;
}

/** Keeps the list in `DATA_DIR/environments.json`; concurrent writers wait for each other. */
export function knownEnvironments(dataDir: string): KnownEnvironments {
  const file = join(dataDir, 'environments.json');

  async function read(): Promise<Known> {
    return (await readJson(file, Known)) ?? EMPTY;
  }

  async function change(edit: (known: Known) => Known): Promise<void> {
    await mkdir(dataDir, { recursive: true });
    await using _lock = await takeLock(`${file}.lock`, { waitMs: 5000, purpose: 'note an environment', mode: 0o600 });
    const before = await read();
    const after = edit(before);
    if (JSON.stringify(before) !== JSON.stringify(after)) await writeJson(file, after, 0o600);
  }

  return {
    file,
    list: async () => (await read()).prefixes,
    recent: async () => (await read()).recent,
    add: async (prefix, initFile) =>
      await change((known) => ({
        ...known,
        prefixes: known.prefixes.includes(prefix) ? known.prefixes : [...known.prefixes, prefix],
        recent:
          initFile === undefined
            ? known.recent
            : [{ ...initFile, usedAt: Date.now() }, ...known.recent.filter((entry) => entry.path !== initFile.path)].slice(0, RECENT),
      })),
    remove: async (prefix) => await change((known) => ({ ...known, prefixes: known.prefixes.filter((path) => path !== prefix) })),
  };
}
