import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync } from 'node:fs';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import { takeLock } from '../../core/lock.ts';
import { isRunning, kill, type ProcessIdentity, parentOf, parseIdentity, readOptional } from '../../core/process-identity.ts';
import { sleep, until } from '../../core/until.ts';
import type { EmbeddedHostSpec } from '../host.ts';
import { checkError, namespaceProblem } from '../requirements.ts';
import { searchPath } from './programs.ts';
import { cacheFolder, isPrivateFolder } from './runtime-dir.ts';
import type { Uplink } from './uplink.ts';

/** cell.sh's exit status when another cell holds the environment's lock. */
const ALREADY_RUNNING = 75;

/** `facts.json` in the runtime folder: what later processes need to know about a running host. */
export const CellFacts = z.object({
  version: z.literal(1),
  id: z.string(),
  stateDir: z.string(),
  uplink: z.enum(['none', 'pasta', 'slirp4netns']),
  accelerator: z.enum(['kvm', 'tcg']),
});
export type CellFacts = z.infer<typeof CellFacts>;

/** The record of a host's cell: its process and its runtime folder. */
export interface CellRecord {
  readonly identity: ProcessIdentity;
  readonly runtimeDir: string;
}

/** The cell recorded in the environment's folder, running or not. */
export function readCell(spec: EmbeddedHostSpec): CellRecord | undefined {
  const identity = parseIdentity(readOptional(join(spec.stateDir, 'cell')) ?? '');
  if (identity === undefined || !identity.rest.startsWith('/')) return undefined;
  return { identity, runtimeDir: identity.rest };
}

/** The facts in a running host's runtime folder; undefined when the folder is gone or not ours. */
export function readFacts(runtimeDir: string): CellFacts | undefined {
  if (!isPrivateFolder(runtimeDir)) return undefined;
  const text = readOptional(join(runtimeDir, 'facts.json'));
  if (text === undefined || text === '') return undefined;
  return CellFacts.parse(JSON.parse(text));
}

/** Throws `conflict.locked` when the recorded cell belongs to another user. */
export function checkOwner(spec: EmbeddedHostSpec, record: CellRecord): void {
  const owner = lstatSync(join(spec.stateDir, 'cell')).uid;
  if (owner === process.getuid?.()) return;
  throw new EngineError('conflict.locked', `The environment's host runs as another user (uid ${owner}, pid ${record.identity.pid}).`, {
    details: { uid: owner, pid: record.identity.pid },
    hint: 'Switch to that user, or stop the environment as that user first.',
  });
}

/** A cell that this process started. */
export interface StartedCell {
  /**
   * Throws when it can no longer become a host: `host.denied`, `host.missing-tool`, `host.unavailable` with the reason. `lost` when another
   * cell already holds the environment.
   */
  state(): Promise<'running' | 'lost'>;
  /** Ends it and removes its traces; a cell of the same environment started by another process is left alone. */
  discard(): Promise<void>;
}

export interface CellOptions {
  readonly runtimeDir: string;
  /** Folder with cell.sh and the other scripts. */
  readonly scripts: string;
  readonly uplink: Uplink;
  readonly facts: CellFacts;
}

/** Starts a cell that outlives this process. */
export async function startCell(spec: EmbeddedHostSpec, options: CellOptions): Promise<StartedCell> {
  const { scripts, uplink, runtimeDir } = options;
  const stateDir = resolve(spec.stateDir);
  await mkdir(join(stateDir, 'log'), { recursive: true });
  const logPath = join(stateDir, 'log', 'start.log');
  const logFile = await open(logPath, 'a', 0o644);
  const logStart = (await logFile.stat()).size;
  const asUser = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const argv = [...asUser, '--pid', '--mount', '--fork', '--kill-child', 'bash', join(scripts, 'cell.sh'), ...uplink.args];
  // Not core/run: the cell outlives this process, so it must not inherit a pipe from it.
  const child = spawn('unshare', argv, {
    cwd: '/',
    detached: true,
    stdio: ['ignore', logFile.fd, logFile.fd],
    env: {
      PATH: searchPath(),
      LC_ALL: 'C.UTF-8',
      LAGO_STATE: stateDir,
      LAGO_RUNTIME: runtimeDir,
      LAGO_CACHE: join(cacheFolder(), 'libvirt'),
      LAGO_FACTS: JSON.stringify(options.facts),
      LAGO_HOSTNAME: `lago-${spec.id.replaceAll('-', '').slice(0, 12)}`,
      LAGO_RELAY: join(scripts, 'relay.cjs'),
      LAGO_HOST_SCRIPT: join(scripts, 'host.sh'),
      LAGO_NODE: process.execPath,
      LAGO_UPLINK: uplink.kind,
      LAGO_DNS: uplink.nameServer,
    },
  });
  let ended: number | undefined;
  let failure: Error | undefined;
  child.on('error', (error) => (failure = error));
  child.on('exit', (code) => (ended = code ?? 1));
  child.unref();
  await logFile.close();
  return {
    async state() {
      if (failure !== undefined) throw failure;
      if (ended === undefined) return 'running';
      if (ended === ALREADY_RUNNING) return 'lost';
      throw await startError(logPath, logStart, stateDir, ended);
    },
    async discard() {
      if (failure !== undefined || ended === ALREADY_RUNNING) return;
      const record = readCell(spec);
      // The record holds the pid of unshare's child; the cell of another process has a different parent.
      const own = record !== undefined && parentOf(record.identity.pid) === child.pid;
      if (ended === undefined) {
        const gone = once(child, 'exit');
        child.ref();
        child.kill('SIGKILL');
        await gone;
      }
      if (own) await stopCell(spec, record);
      else await clearTraces(spec, runtimeDir);
    },
  };
}

/** Why a cell ended before libvirt was ready, from the output of the cell and libvirtd. */
async function startError(logPath: string, logStart: number, stateDir: string, exit: number): Promise<EngineError> {
  const text = (await readFile(logPath)).subarray(logStart).toString('utf8').trim();
  const details = { exit, log: text.slice(-4000) };
  if (/unshare: (unshare failed|write failed|cannot open)/.test(text)) return checkError(namespaceProblem(), 'host.denied');
  const daemon = readOptional(join(stateDir, 'log', 'libvirtd.log')) ?? '';
  // libvirtd logs this line when a driver refuses to start, then a less specific one.
  const reason = [...daemon.matchAll(/ error : virStateInitialize:\d+ : (.*)/g)].at(-1)?.[1];
  const lines = text.split('\n').filter((line) => !line.startsWith('The embedded host ended'));
  const sentence = reason ?? lines.at(-1) ?? '';
  return new EngineError('host.unavailable', `The environment's host did not start: ${sentence}`, {
    details,
    hint: 'Look at the checks of the machine, or use the machine’s own libvirt: host qemu:///system.',
  });
}

/**
 * Kills the cell and removes its folders. Once the cell is gone, the kernel has ended every process of the environment. A host started in
 * the meantime is left alone.
 */
export async function stopCell(spec: EmbeddedHostSpec, record: CellRecord): Promise<void> {
  kill(record.identity);
  await until(async () => (isRunning(record.identity) ? undefined : true), {
    everyMs: 3,
    timeoutMs: 20_000,
    failure: () =>
      new EngineError('host.unavailable', `The environment's host (pid ${record.identity.pid}) does not end.`, {
        details: { pid: record.identity.pid },
      }),
  });
  await clearTraces(spec, record.runtimeDir);
}

/** Removes what a dead cell left. A new cell in the same folders has already cleared them and is left alone. */
async function clearTraces(spec: EmbeddedHostSpec, runtimeDir: string): Promise<void> {
  if (!existsSync(spec.stateDir)) {
    await rm(runtimeDir, { recursive: true, force: true });
    return;
  }
  for (let attempt = 0; ; attempt++) {
    try {
      await using _lock = await takeLock(join(spec.stateDir, 'lock'), { purpose: 'stop' });
      const now = parseIdentity(readOptional(join(runtimeDir, 'cell')) ?? '');
      if (now === undefined || !isRunning(now)) await rm(runtimeDir, { recursive: true, force: true });
      await rm(join(spec.stateDir, 'cell'), { force: true });
      return;
    } catch (error) {
      if (!(error instanceof EngineError && error.code === 'conflict.locked')) throw error;
      const next = readCell(spec);
      if (next !== undefined && isRunning(next.identity)) return;
      if (attempt > 100) throw error;
      await sleep(10);
    }
  }
}
