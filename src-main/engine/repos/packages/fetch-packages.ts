import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/files/disk-error.ts';
import { bootId } from '../../core/process-identity.ts';
import { forEachLimit } from '../../core/until.ts';
import { hasChecksum } from '../fetch/checksum.ts';
import type { Fetcher } from '../fetch/fetcher.ts';
import { factsOf, factsOfAll, isUnchanged } from '../store/folder-files.ts';
import type { KnownPackage, SyncRecord, WantedPackage } from '../store/record.ts';
import type { SyncProgress } from '../sync-result.ts';
import type { SyncSession } from './session.ts';
import type { Siblings } from './siblings.ts';

/** What became of the wanted packages. */
export interface PackagesOutcome {
  /** Those that are in their place and right. */
  readonly present: readonly KnownPackage[];
  readonly fetched: { readonly packages: number; readonly bytes: number };
  /** Why others are not, in order of their names. */
  readonly problems: readonly string[];
}

/** How many are fetched, then checked together when signatures are asked for. */
const BATCH = 200;
/** Progress is told while packages larger than this arrive, of others when they are here. */
const LARGE = 256 * 1024;
/** How many files are hashed at once. */
const HASHING = 2;

/** Keys that packages are checked with. */
export interface PackageKeys {
  /** The files that are not signed by one of the keys, or damaged, each with the reason. */
  unsigned(files: readonly string[], signal?: AbortSignal): Promise<ReadonlyMap<string, string>>;
}

export interface FetchOptions {
  /** Compare every file by its checksum, also those that nobody touched. */
  readonly verify: boolean;
  readonly onProgress: (progress: SyncProgress) => void;
  readonly siblings: Siblings;
  /** Opens the keys when a package has to be checked; undefined when packages are not signed. */
  readonly openKeys: (() => Promise<PackageKeys>) | undefined;
}

/**
 * Makes the wanted packages be there: what the record knows and nobody touched is taken as it is, other files are compared by their
 * checksums, and what is missing or wrong is fetched. With keys no package is put in its place before its signature was checked.
 */
export async function fetchPackages(
  session: SyncSession,
  fetcher: Fetcher,
  wanted: readonly WantedPackage[],
  record: SyncRecord | undefined,
  options: FetchOptions,
): Promise<PackagesOutcome> {
  const { section, folder, signal } = session;
  const { openKeys } = options;
  const local = await lookAt(session, wanted, record, options.verify, options.onProgress);
  const present: KnownPackage[] = [];
  const missing: WantedPackage[] = [];
  const unchecked: KnownPackage[] = [];
  for (const [index, one] of wanted.entries()) {
    const found = local[index];
    if (found === undefined) missing.push(one);
    else if (openKeys !== undefined && !found.recorded) unchecked.push({ ...one, mtimeMs: found.mtimeMs });
    else present.push({ ...one, mtimeMs: found.mtimeMs });
  }
  const problems: string[] = [];
  const keys = missing.length + unchecked.length > 0 ? await openKeys?.() : undefined;
  if (keys !== undefined) await checkInPlace(session, keys, unchecked, present, problems);

  const totalBytes = missing.reduce((sum, { size }) => sum + size, 0);
  let [done, fetched, bytes, doneBytes] = [0, 0, 0, 0];
  /** How much is here of large packages that are being fetched. */
  const arriving = new Map<WantedPackage, number>();
  const report = (): void => {
    const inFlight = [...arriving.values()].reduce((sum, received) => sum + received, 0);
    options.onProgress({ stage: 'packages', done, total: missing.length, bytes: doneBytes + inFlight, totalBytes });
  };
  for (let at = 0; at < missing.length; at += keys === undefined ? missing.length : BATCH) {
    const batch = keys === undefined ? missing : missing.slice(at, at + BATCH);
    const arrived: WantedPackage[] = [];
    await forEachLimit(batch, section.maxConnections, signal, async (one, inner) => {
      const target = keys === undefined ? join(folder.path, one.path) : incoming(session, one);
      try {
        if (!(await options.siblings.link(one, target))) {
          const onReceived = (here: number): void => {
            arriving.set(one, here);
            report();
          };
          const told = one.size > LARGE ? onReceived : undefined;
          const received = await fetchOne(fetcher.with(inner), one, target, keys !== undefined, inner, told);
          bytes += received;
          fetched += 1;
        }
        arrived.push(one);
      } catch (error) {
        if (!isOfThePackage(error)) throw error;
        problems.push(`${one.name}: ${error.message}`);
      }
      arriving.delete(one);
      done += 1;
      doneBytes += one.size;
      report();
    });
    const right = keys === undefined ? arrived : await placeSigned(session, keys, arrived, problems);
    const facts = await factsOfAll(
      folder.path,
      right.map(({ path }) => path),
      signal,
    );
    for (const [index, one] of right.entries()) present.push({ ...one, mtimeMs: facts[index]?.mtimeMs ?? 0 });
  }
  return {
    present: present.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    fetched: { packages: fetched, bytes },
    problems: problems.toSorted(),
  };
}

async function lookAt(
  { folder, signal }: SyncSession,
  wanted: readonly WantedPackage[],
  record: SyncRecord | undefined,
  verify: boolean,
  onProgress: (progress: SyncProgress) => void,
): Promise<readonly ({ readonly mtimeMs: number; readonly recorded: boolean } | undefined)[]> {
  const known = new Map(record?.packages.map((one) => [one.path, one]));
  const boot = bootId();
  const facts = await factsOfAll(
    folder.path,
    wanted.map(({ path }) => path),
    signal,
  );
  const trusted = (index: number): boolean => {
    const one = wanted[index];
    const before = known.get(one?.path ?? '');
    if (verify || before === undefined || before.hex !== one?.hex || !isUnchanged(before, facts[index])) return false;
    return record?.boot === boot || before.mtimeMs < (record?.settledBefore ?? 0);
  };
  const unsure = wanted.flatMap((one, index) => (facts[index]?.size === one.size && !trusted(index) ? [index] : []));
  let done = 0;
  const right = new Set<number>();
  await forEachLimit(unsure, HASHING, signal, async (index, inner) => {
    const one = wanted[index] as WantedPackage;
    if (await hasChecksum(join(folder.path, one.path), one, inner)) right.add(index);
    done += 1;
    onProgress({ stage: 'checking', done, total: unsure.length, bytes: 0, totalBytes: 0 });
  });
  return wanted.map(({ path, hex }, index) => {
    const mtimeMs = facts[index]?.mtimeMs;
    if (mtimeMs === undefined || (!trusted(index) && !right.has(index))) return undefined;
    return { mtimeMs, recorded: record?.signed === true && known.get(path)?.hex === hex };
  });
}

/** Where a package waits for its signature to be checked. */
function incoming({ folder }: SyncSession, { hex, path }: WantedPackage): string {
  return join(folder.state, 'incoming', `${hex}${extname(path)}`);
}

/** `waiting`: an earlier process may have fetched it already. */
async function fetchOne(
  fetcher: Fetcher,
  one: WantedPackage,
  target: string,
  waiting: boolean,
  signal: AbortSignal,
  onReceived: ((bytes: number) => void) | undefined,
): Promise<number> {
  if (waiting && factsOf(target)?.size === one.size && (await hasChecksum(target, one, signal))) return 0;
  return await fetcher.fetch({ location: one.path, base: one.base, size: one.size, checksum: one }, target, onReceived);
}

/** Whether an error is about this file only, so that others may still be had. */
function isOfThePackage(error: unknown): error is EngineError {
  return error instanceof EngineError && ['remote.invalid', 'remote.hash-mismatch'].includes(error.code);
}

/** Packages that are in their place but were never checked: those that are not signed are taken away. */
async function checkInPlace(
  { folder, signal }: SyncSession,
  keys: PackageKeys,
  unchecked: readonly KnownPackage[],
  present: KnownPackage[],
  problems: string[],
): Promise<void> {
  const unsigned = await keys.unsigned(
    unchecked.map(({ path }) => join(folder.path, path)),
    signal,
  );
  for (const one of unchecked) {
    const path = join(folder.path, one.path);
    const words = unsigned.get(path);
    if (words === undefined) present.push(one);
    else {
      await rm(path, { force: true });
      problems.push(notSigned(one, words));
    }
  }
}

async function placeSigned(
  session: SyncSession,
  keys: PackageKeys,
  arrived: readonly WantedPackage[],
  problems: string[],
): Promise<readonly WantedPackage[]> {
  const { folder, signal } = session;
  const unsigned = await keys.unsigned(
    arrived.map((one) => incoming(session, one)),
    signal,
  );
  const right: WantedPackage[] = [];
  for (const one of arrived) {
    const [from, to] = [incoming(session, one), join(folder.path, one.path)];
    const words = unsigned.get(from);
    try {
      if (words === undefined) {
        await mkdir(dirname(to), { recursive: true });
        await rename(from, to);
        right.push(one);
      } else {
        await rm(from, { force: true });
        problems.push(notSigned(one, words));
      }
    } catch (error) {
      throw diskError(error, to);
    }
  }
  return right;
}

function notSigned({ name }: WantedPackage, words: string): string {
  return `${name}: it is not signed by one of the repository's keys (rpm: ${words}).`;
}
