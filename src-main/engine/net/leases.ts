import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { octetsOf } from '../../../src-shared/addresses.ts';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError, writeJson } from '../core/files/json-file.ts';
import { type HeldLock, takeLock } from '../core/lock.ts';
import { sleep } from '../core/until.ts';
import { isLeasable, LEASE_RANGE } from './subnets.ts';

/** One file `N.lease` of the store. */
export interface Lease {
  /** `192.168.N.0` */
  readonly subnet: string;
  /** The lease file. */
  readonly path: string;
  /** The uuid file of the prefix that owns it; empty when the lease is damaged. */
  readonly uuidPath: string;
  readonly uuid: string;
  /** False when that prefix is gone or has another uuid now: the subnet is free again. */
  readonly valid: boolean;
}

/** Content of a lease file. */
type HeldLease = Omit<Lease, 'valid'>;

export interface LeaseOwner {
  /** Absolute path of the prefix's `uuid` file. */
  readonly uuidPath: string;
  readonly uuid: string;
  readonly signal?: AbortSignal | undefined;
}

export interface LeaseStoreOptions {
  readonly dir: string;
  /** Default 200 to 255, as in Lago 1.0. */
  readonly minOctet?: number;
  readonly maxOctet?: number;
  /** How long to wait for another process; default 5 s, as in Lago. */
  readonly waitMs?: number;
}

/**
 * The machine's subnets, shared by all users and with Lago itself (its file format, its flock). Each method is atomic under the lock, so
 * two processes never hold the same subnet. Rejects with `conflict.subnet` (taken, or none free), `conflict.locked`, `host.denied`,
 * `input.invalid` (not a subnet of the range), `cancelled`.
 */
export interface LeaseStore {
  /** Takes the lowest free subnet, or exactly `subnet` (any address of it). Taking one that the same prefix already holds succeeds. */
  acquire(owner: LeaseOwner & { readonly subnet?: string | undefined }): Promise<{ readonly subnet: string; readonly gateway: string }>;
  /** Takes all or none. `null` stands for any free subnet; results are in the same order. */
  acquireMany(
    owner: LeaseOwner & { readonly subnets: readonly (string | null)[] },
  ): Promise<readonly { readonly subnet: string; readonly gateway: string }[]>;
  /** Releases a subnet; with `uuid` only if that prefix holds it. Releasing a free one is not an error. */
  release(subnet: string, options?: { readonly uuid?: string; readonly signal?: AbortSignal | undefined }): Promise<void>;
  /** Releases all subnets of a prefix and returns them. */
  releaseAll(owner: {
    readonly uuid: string;
    readonly uuidPath?: string;
    readonly signal?: AbortSignal | undefined;
  }): Promise<readonly string[]>;
  /** Every lease, by number. Takes no lock and changes nothing; a missing store is empty. */
  list(): Promise<readonly Lease[]>;
  /** Removes and returns the leases of prefixes that are gone. */
  reclaim(options?: { readonly signal?: AbortSignal | undefined }): Promise<readonly Lease[]>;
}

/** Lago 0.29 locked with a hard link, held for milliseconds; a killed process left it for ever. */
const OLD_LOCKS = ['leases.lock', 'leases.lock.lock'];
const OLD_LOCK_LIFE_MS = 60_000;

export function createLeaseStore(options: LeaseStoreOptions): LeaseStore {
  const range = { minOctet: options.minOctet ?? LEASE_RANGE.minOctet, maxOctet: options.maxOctet ?? LEASE_RANGE.maxOctet };
  const { dir, waitMs = 5_000 } = options;

  function pathOf(octet: number): string {
    return join(dir, `${octet}.lease`);
  }

  async function locked<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    await oldLockGone(dir, waitMs, signal);
    await using _ = await lockStore(dir, waitMs, signal);
    return await work();
  }

  async function write(owner: LeaseOwner, octet: number): Promise<void> {
    await guarded(dir, async () => await writeJson(pathOf(octet), [owner.uuidPath, owner.uuid], 0o664));
  }

  /** Call under the lock: true when the subnet is free, false when the same prefix already has it. */
  async function isFree(owner: LeaseOwner, octet: number): Promise<boolean> {
    const present = readLease(pathOf(octet), octet);
    if (present === undefined || !(await isAlive(present))) return true;
    if (present.uuid !== owner.uuid || present.uuidPath !== owner.uuidPath) throw takenError(octet, present);
    return false;
  }

  /** Call under the lock: the lowest free ones, checking each lease once. */
  async function findFree(taken: ReadonlySet<number>, count: number): Promise<number[]> {
    const leased = new Set(count === 0 ? [] : await leasedOctets(dir));
    const found: number[] = [];
    for (let octet = range.minOctet; octet <= range.maxOctet && found.length < count; octet++) {
      if (taken.has(octet)) continue;
      const present = leased.has(octet) ? readLease(pathOf(octet), octet) : undefined;
      if (present === undefined || !(await isAlive(present))) found.push(octet);
    }
    if (found.length === count) return found;
    throw new EngineError(
      'conflict.subnet',
      `No subnet is free between 192.168.${range.minOctet}.0/24 and 192.168.${range.maxOctet}.0/24.`,
      {
        hint: 'Destroy environments that are no longer used ("lago leases" shows who holds what).',
      },
    );
  }

  /** Call under the lock, writing in parallel since others wait for it; all or none. */
  async function writeAll(owner: LeaseOwner, octets: readonly number[]): Promise<void> {
    const outcomes = await Promise.allSettled(octets.map(async (octet) => await write(owner, octet)));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed === undefined) return;
    await removeAll(octets);
    throw failed.reason;
  }

  async function removeAll(octets: readonly number[]): Promise<void> {
    await Promise.all(octets.map(async (octet) => await remove(pathOf(octet))));
  }

  function octetOf(subnet: string): number {
    const text = subnet.replace(/\/24$/, '');
    const octets = octetsOf(text);
    if (octets === undefined) throw new EngineError('input.invalid', `${JSON.stringify(subnet)} is not a valid IP address.`);
    if (isLeasable(text, range)) return octets[2];
    throw new EngineError(
      'input.invalid',
      `Subnet ${text}/24 is not valid. It should be in the range 192.168.${range.minOctet}.0/24 - 192.168.${range.maxOctet}.0/24.`,
    );
  }

  async function acquireMany(owner: LeaseOwner & { readonly subnets: readonly (string | null)[] }): ReturnType<LeaseStore['acquireMany']> {
    const wanted = owner.subnets.map((subnet) => (subnet === null ? null : octetOf(subnet)));
    return await locked(owner.signal, async () => {
      const taken = new Set<number>();
      const fresh: number[] = [];
      for (const octet of wanted) {
        if (octet === null) continue;
        if (taken.has(octet)) throw takenError(octet, owner);
        if (await isFree(owner, octet)) fresh.push(octet);
        taken.add(octet);
      }
      const free = await findFree(taken, wanted.filter((octet) => octet === null).length);
      await writeAll(owner, [...fresh, ...free]);
      const next = free.values();
      return wanted.map((octet) => grant(octet ?? next.next().value ?? range.minOctet));
    });
  }

  async function releaseWhere(
    signal: AbortSignal | undefined,
    test: (lease: HeldLease) => boolean | Promise<boolean>,
  ): Promise<readonly HeldLease[]> {
    const matching = async (): Promise<HeldLease[]> => {
      const found: HeldLease[] = [];
      for (const lease of await readLeases(dir)) if (await test(lease)) found.push(lease);
      return found;
    };
    if ((await matching()).length === 0) return [];
    return await locked(signal, async () => {
      const found = await matching();
      await guarded(dir, async () => await Promise.all(found.map(async (lease) => await remove(lease.path))));
      return found;
    });
  }

  return {
    acquire: async ({ subnet, ...owner }) => {
      const [granted] = await acquireMany({ ...owner, subnets: [subnet ?? null] });
      if (granted === undefined) throw new EngineError('internal', 'The lease store gave nothing.');
      return granted;
    },
    acquireMany,
    release: async (subnet, { uuid, signal } = {}) => {
      const octet = octetOf(subnet);
      if (readLease(pathOf(octet), octet) === undefined) return;
      await locked(signal, async () => {
        const lease = readLease(pathOf(octet), octet);
        if (lease !== undefined && (uuid === undefined || lease.uuid === uuid)) await guarded(dir, async () => await remove(lease.path));
      });
    },
    releaseAll: async ({ uuid, uuidPath, signal }) => {
      const released = await releaseWhere(
        signal,
        (lease) => lease.uuid === uuid && (uuidPath === undefined || lease.uuidPath === uuidPath),
      );
      return released.map((lease) => lease.subnet);
    },
    list: async () => await listLeases(dir),
    reclaim: async ({ signal } = {}) => {
      const gone = await releaseWhere(signal, async (lease) => !(await isAlive(lease)));
      return gone.map((lease) => ({ ...lease, valid: false }));
    },
  };
}

function grant(octet: number): { readonly subnet: string; readonly gateway: string } {
  return { subnet: `192.168.${octet}.0`, gateway: `192.168.${octet}.1` };
}

function takenError(octet: number, holder: { readonly uuidPath: string }): EngineError {
  return new EngineError(
    'conflict.subnet',
    `The subnet 192.168.${octet}.0/24 is already taken by ${holder.uuidPath.replace(/\/uuid$/, '')}.`,
    {
      hint: 'Give the network another gw, or none; or destroy that environment.',
      details: { subnet: `192.168.${octet}.0`, holder: holder.uuidPath },
    },
  );
}

/** The numbers with a lease file, valid or not, in order. */
async function leasedOctets(dir: string): Promise<number[]> {
  let names: string[];
  try {
    names = await readdir(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw denied(error, dir);
  }
  const octets = names.flatMap((name) => /^(\d{1,3})\.lease$/.exec(name)?.[1] ?? []).map(Number);
  return octets.sort((left, right) => left - right);
}

async function listLeases(dir: string): Promise<Lease[]> {
  return await Promise.all((await readLeases(dir)).map(async (lease) => ({ ...lease, valid: await isAlive(lease) })));
}

async function readLeases(dir: string): Promise<HeldLease[]> {
  return (await leasedOctets(dir)).flatMap((octet) => readLease(join(dir, `${octet}.lease`), octet) ?? []);
}

/**
 * undefined when the file does not exist. A damaged lease belongs to nobody. Synchronous: the files are tiny and local, and other processes
 * wait while the lock is held.
 */
function readLease(path: string, octet: number): HeldLease | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw denied(error, path);
  }
  const subnet = `192.168.${octet}.0`;
  const parsed = z.tuple([z.string(), z.string()]).safeParse(parseJson(text));
  if (!parsed.success) return { subnet, path, uuidPath: '', uuid: '' };
  const [uuidPath, uuid] = parsed.data;
  return { subnet, path, uuidPath, uuid };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A damaged lease has no owner.
    return undefined;
  }
}

/** Whether the lease's prefix exists. One that this user may not check counts as alive; Lago took its subnet away. */
async function isAlive({ uuidPath, uuid }: HeldLease): Promise<boolean> {
  if (uuidPath === '') return false;
  try {
    return (await readFile(uuidPath, 'utf8')).trim() === uuid.trim();
  } catch (error) {
    return ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}

async function makeFolder(dir: string): Promise<void> {
  try {
    const made = await mkdir(dir, { recursive: true, mode: 0o775 });
    // Set-gid, so that every user's lease belongs to the shared folder's group.
    if (made !== undefined) await chmod(dir, 0o2775);
  } catch (error) {
    throw denied(error, dir);
  }
}

async function lockStore(dir: string, waitMs: number, signal: AbortSignal | undefined): Promise<HeldLock> {
  const path = join(dir, 'subnet-lease.lock');
  if (!existsSync(path)) await makeFolder(dir);
  try {
    const lock = await takeLock(path, { waitMs, signal, purpose: 'leasing a subnet', mode: 0o660 });
    await openToGroup(path);
    return lock;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'host.denied') throw denied(error.cause, path);
    throw error;
  }
}

/** The umask removes group write permission from a new lock file; its creator restores it. */
async function openToGroup(path: string): Promise<void> {
  const { mode, uid } = await stat(path);
  if ((mode & 0o060) !== 0o060 && uid === process.getuid?.()) await chmod(path, 0o660);
}

async function oldLockGone(dir: string, waitMs: number, signal: AbortSignal | undefined): Promise<void> {
  const deadline = Date.now() + waitMs;
  for (const name of OLD_LOCKS) {
    while (await isFresh(join(dir, name))) {
      if (Date.now() > deadline) {
        throw new EngineError('conflict.locked', `${join(dir, name)} is held by an old version of Lago.`, {
          hint: 'Wait until it has finished; when none runs, remove that file.',
        });
      }
      await sleep(50, signal);
    }
  }
}

async function isFresh(path: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs < OLD_LOCK_LIFE_MS;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw denied(error, path);
  }
}

async function remove(path: string): Promise<void> {
  await rm(path, { force: true });
}

async function guarded<T>(dir: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw denied(error, dir);
  }
}

/** "No permission" with a hint; other errors as in the disk layer. */
function denied(error: unknown, path: string): unknown {
  const code = error instanceof EngineError ? error.code : (error as NodeJS.ErrnoException).code;
  if (code !== 'EACCES' && code !== 'EPERM' && code !== 'host.denied') return diskError(error, path);
  return new EngineError('host.denied', `No permission for the store of subnets at ${path}.`, {
    cause: error,
    hint: 'Join the group that owns it (usually "lago"), or choose another folder with --lease_dir.',
    details: { path },
  });
}
