import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The checkout. */
export const root = resolve(import.meta.dirname, '../..');

/** Folders and environment variables of one test run: nothing of the user's is read or written. */
export interface Scratch {
  /** Contains everything else. Short, because socket paths are limited to 107 bytes. */
  readonly dir: string;
  /** Where the window creates environments. */
  readonly workdir: string;
  /** An environment in it that others are forked from, and that stays. */
  readonly original?: string;
  /** Environment variables for the window, the command line and all their child processes. */
  readonly env: Readonly<Record<string, string>>;
  /** Writes an init file and returns its path. */
  write(name: string, content: string): string;
  remove(): void;
}

/**
 * Creates the folders. Guests have no internet access: `LAGO_UPLINK` is none. The cache is that of a user who has used the program before:
 * `lago` loads its compiled code from there, and libvirt what it knows of QEMU.
 */
export function makeScratch(): Scratch {
  const dir = mkdtempSync('/tmp/lago-e2e-');
  const folder = (name: string): string => {
    const path = join(dir, name);
    mkdirSync(path, { mode: 0o700 });
    return path;
  };
  const {
    ELECTRON_RUN_AS_NODE: _node,
    ELECTRON_RENDERER_URL: _url,
    XDG_CONFIG_HOME: _config,
    ...inherited
  } = process.env as Record<string, string>;
  return {
    dir,
    workdir: join(dir, 'environments'),
    env: {
      ...inherited,
      ...ownDisplay(),
      HOME: folder('home'),
      XDG_DATA_HOME: folder('data'),
      XDG_CACHE_HOME: linkCache(folder('cache')),
      XDG_RUNTIME_DIR: folder('run'),
      LAGO__INIT__TEMPLATE_STORE: folder('store'),
      LAGO__INIT__TEMPLATE_REPOS: join(dir, 'repos'),
      LAGO_REPOSYNC_DIR: join(dir, 'reposync'),
      LAGO_LEASE_DIR: folder('leases'),
      DBUS_SESSION_BUS_ADDRESS: 'disabled:',
      DBUS_SYSTEM_BUS_ADDRESS: 'disabled:',
      LAGO_CONFINED: '1',
      LAGO_UPLINK: 'none',
    },
    write(name, content) {
      const path = join(dir, name);
      writeFileSync(path, content);
      return path;
    },
    remove: () => removeFolder(dir),
  };
}

let cache: string | undefined;

/** Puts the cache that all scratch folders of this process share into a cache folder. */
function linkCache(folder: string): string {
  if (cache === undefined) {
    const made = mkdtempSync('/tmp/lago-e2e-cache-');
    process.once('exit', () => removeFolder(made));
    cache = made;
  }
  symlinkSync(cache, join(folder, 'lago'));
  return folder;
}

/** The cache of a user who has never used the program. For one whom root's files are of no use to. */
export function emptyCache(scratch: Scratch): void {
  rmSync(join(scratch.dir, 'cache/lago'));
}

/** The screen of this worker of the test runner; by default the only one. */
function ownDisplay(): { readonly DISPLAY?: string } {
  const display = process.env['LAGO_TEST_DISPLAYS']?.split(' ')[Number(process.env['TEST_PARALLEL_INDEX'] ?? 0)];
  return display === undefined ? {} : { DISPLAY: display };
}

/** Retries, because processes may still write to it: Chromium's helpers until they notice that the window is gone, a running libvirt always. */
export function removeFolder(dir: string): void {
  for (let attempt = 1; ; attempt++) {
    try {
      rmSync(dir, { recursive: true, force: true });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY' || attempt === 50) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  }
}
