import { createHash } from 'node:crypto';
import { z } from 'zod';
import { EngineError } from '../../../src-shared/errors.ts';
import { readJson, writeJson } from '../core/files/json-file.ts';
import { takeLock } from '../core/lock.ts';

const KnownHosts = z.object({
  version: z.literal(1),
  /** VM name → its public host key. */
  hosts: z.record(z.string(), z.object({ key: z.string(), fingerprint: z.string(), since: z.number() })),
});
type KnownHosts = z.infer<typeof KnownHosts>;

/** The host keys of a prefix's VMs: pinned at the first login, checked at later ones. Safe across processes. */
export interface HostKeys {
  /** `same` when this is the pinned key, `new` when none is pinned yet. Throws `guest.refused` when a different key is pinned. */
  check(vm: string, key: Uint8Array): Promise<'same' | 'new'>;
  /** Pins the key of a VM after a successful login. An already pinned key stays. */
  pin(vm: string, key: Uint8Array): Promise<void>;
  /** Saves all currently pinned keys to another file. */
  keep(path: string): Promise<void>;
  /**
   * Restores the keys of these VMs from a file that `keep` wrote. A VM without a key there is unpinned: its disk is from before its first
   * boot, and its next boot creates another key.
   */
  restore(path: string, vms: readonly string[]): Promise<void>;
}

/** `SHA256:...` as ssh prints it. */
export function fingerprint(key: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** Opens the store at `path` (a JSON file in the prefix, created at the first pin). */
export function openHostKeys(path: string): HostKeys {
  async function read(): Promise<KnownHosts> {
    return (await readJson(path, KnownHosts)) ?? { version: 1, hosts: {} };
  }

  async function change(edit: (hosts: KnownHosts['hosts']) => KnownHosts['hosts'] | undefined): Promise<void> {
    await using _lock = await takeLock(`${path}.lock`, { waitMs: 10_000, purpose: 'ssh host keys', mode: 0o600 });
    const hosts = edit((await read()).hosts);
    if (hosts !== undefined) await writeJson(path, { version: 1, hosts } satisfies KnownHosts, 0o600);
  }

  return {
    async check(vm, key) {
      const pinned = (await read()).hosts[vm];
      if (pinned === undefined) return 'new';
      if (pinned.key === Buffer.from(key).toString('base64')) return 'same';
      throw new EngineError('guest.refused', `The ssh host key of ${vm} has changed since the first login, so it was not trusted.`, {
        details: { vm, reason: 'host-key', expected: pinned.fingerprint, found: fingerprint(key), file: path },
        hint: `If you rebuilt ${vm}, remove its entry from ${path} and try again.`,
      });
    },
    async pin(vm, key) {
      await change((hosts) => {
        if (hosts[vm] !== undefined) return undefined;
        return { ...hosts, [vm]: { key: Buffer.from(key).toString('base64'), fingerprint: fingerprint(key), since: Date.now() } };
      });
    },
    async keep(kept) {
      await writeJson(kept, await read(), 0o600);
    },
    async restore(kept, vms) {
      const then = await readJson(kept, KnownHosts);
      // A snapshot from a release that did not save keys.
      if (then === undefined) return;
      await change((hosts) => {
        const others = Object.entries(hosts).filter(([vm]) => !vms.includes(vm));
        return Object.fromEntries([...others, ...Object.entries(then.hosts).filter(([vm]) => vms.includes(vm))]);
      });
    },
  };
}
