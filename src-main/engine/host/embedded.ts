import { existsSync, lstatSync, readlinkSync } from 'node:fs';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../../src-shared/errors.ts';
import { takeLock } from '../core/lock.ts';
import type { Log } from '../core/log.ts';
import { run } from '../core/run.ts';
import { sleep, until } from '../core/until.ts';
import type { EmbeddedHost, EmbeddedHostSpec } from './host.ts';
import { findAccelerator } from './kvm.ts';
import { askLibvirt } from './libvirt-answers.ts';
import { isRunning, kill, parseIdentity, readOptional, type ProcessIdentity } from './process-identity.ts';
import { findProgram, searchPath } from './programs.ts';
import { dialThroughRelay, listenThroughRelay } from './relay.ts';
import { checkError, namespaceProblem, requireEmbedded } from './requirements.ts';
import { cacheFolder, isPrivateFolder, makePrivateFolder, runtimeDirFor } from './runtime-dir.ts';
import { chooseUplink, type UplinkKind } from './uplink.ts';
import { cachedVerdict, fileIdentity } from './verdict-cache.ts';

export interface EmbeddedHostOptions {
  /** The project's `resources` folder (or its packaged copy); the scripts are in `host` below it. */
  readonly resourcesDir: string;
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
}

/** How long a start may take: libvirt answers in 0.15 s on an idle machine. */
const START_MS = 30_000;
const ALREADY_RUNNING = 75;
const FALL_BACK = 'Use the machine’s own libvirt for this environment: host qemu:///system.';

/** `facts.json` in the runtime folder: what a later process must know about a running host. */
const Facts = z.object({
  version: z.literal(1),
  id: z.string(),
  stateDir: z.string(),
  uplink: z.enum(['none', 'pasta', 'slirp4netns']),
  accelerator: z.enum(['kvm', 'tcg']),
});
type Facts = z.infer<typeof Facts>;

/** Where a host's cell is recorded: its process, and the runtime folder that belongs to it. */
interface CellRecord {
  readonly identity: ProcessIdentity;
  readonly runtimeDir: string;
}

/**
 * The environment's own host, when it runs: a few file reads, nothing is started. Also answers a host whose start is still going on
 * (or was left alone by a killed process); then it waits a moment for libvirt.
 */
export async function findEmbeddedHost(spec: EmbeddedHostSpec, options: EmbeddedHostOptions): Promise<EmbeddedHost | undefined> {
  const record = readCell(spec);
  if (record === undefined || !isRunning(record.identity)) return undefined;
  checkOwner(spec, record);
  const facts = readFacts(record.runtimeDir);
  if (facts === undefined) {
    options.log.warn(`The host of environment ${spec.id} runs (pid ${record.identity.pid}), but its runtime folder ${record.runtimeDir} is gone.`);
  } else if (!existsSync(join(record.runtimeDir, 'ready'))) await waitReady(record, options.signal, 5000);
  return hostOf(spec, record, facts, options.log);
}

/**
 * Starts the environment's own host, or attaches to the one that runs. Once this resolves libvirt answers; the host goes on when this
 * process ends, however it ends. Cancelling or failing leaves nothing of a host that this call started.
 * Errors: `host.missing-tool`, `host.denied` (what the machine does not allow), `host.unavailable` (libvirt does not work privately),
 * `conflict.locked` (it runs as another user), `cancelled`.
 */
export async function startEmbeddedHost(spec: EmbeddedHostSpec, options: EmbeddedHostOptions): Promise<EmbeddedHost> {
  options.signal?.throwIfAborted();
  const running = readCell(spec);
  if (running !== undefined && isRunning(running.identity)) {
    checkOwner(spec, running);
    if (readFacts(running.runtimeDir) !== undefined) {
      if (!existsSync(join(running.runtimeDir, 'ready'))) await waitReady(running, options.signal, START_MS);
      return hostOf(spec, running, readFacts(running.runtimeDir), options.log);
    }
    // Ending the session removed its sockets: nothing can reach this host again, and its VMs would keep the disks.
    options.log.warn(`The host of environment ${spec.id} lost its runtime folder ${running.runtimeDir}; it is started again.`);
    await stopCell(spec, running);
  }
  requireEmbedded();
  return await launch(spec, options);
}

async function launch(spec: EmbeddedHostSpec, options: EmbeddedHostOptions): Promise<EmbeddedHost> {
  const stateDir = resolve(spec.stateDir);
  const runtimeDir = runtimeDirFor(spec.id);
  makePrivateFolder(dirname(runtimeDir));
  await checkRuntimeDirFree(spec, runtimeDir);
  await mkdir(join(stateDir, 'log'), { recursive: true });
  const uplink = chooseUplink(spec.uplink, process.env, options.log);
  const facts: Facts = {
    version: 1,
    id: spec.id,
    stateDir,
    uplink: uplink.kind,
    accelerator: await findAccelerator(spec.accelerator, { signal: options.signal }),
  };
  const scripts = resolve(options.resourcesDir, 'host');
  const logPath = join(stateDir, 'log', 'start.log');
  const logFile = await open(logPath, 'a', 0o644);
  const logStart = (await logFile.stat()).size;
  const asUser = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const argv = [...asUser, '--pid', '--mount', '--fork', '--kill-child', 'bash', join(scripts, 'cell.sh'), ...uplink.args];
  // Not core/run: the cell outlives this process, so no pipe may lead to it.
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
      LAGO_FACTS: JSON.stringify(facts),
      LAGO_HOSTNAME: `lago-${spec.id.replaceAll('-', '').slice(0, 12)}`,
      LAGO_RELAY: join(scripts, 'relay.cjs'),
      LAGO_HOST_SCRIPT: join(scripts, 'host.sh'),
      LAGO_NODE: process.execPath,
      LAGO_UPLINK: uplink.kind,
      LAGO_DNS: uplink.nameServer,
    },
  });
  child.unref();
  let ended: number | undefined;
  let failure: unknown;
  child.on('error', (error) => (failure = error));
  child.on('exit', (code) => (ended = code ?? 1));
  await logFile.close();
  try {
    const record = await until(
      async () => {
        if (failure !== undefined) throw failure;
        if (ended !== undefined && ended !== ALREADY_RUNNING) throw await startError(logPath, logStart, stateDir, ended);
        const found = readCell(spec);
        if (found === undefined || !isRunning(found.identity)) return undefined;
        checkOwner(spec, found);
        return (await isReady(found)) ? found : undefined;
      },
      {
        everyMs: 8,
        timeoutMs: START_MS,
        signal: options.signal,
        failure: () => new EngineError('host.unavailable', `libvirt did not answer within ${START_MS / 1000} s.`, { details: { log: logPath } }),
      },
    );
    const host = hostOf(spec, record, readFacts(record.runtimeDir), options.log);
    await checkDnsmasq(host, scripts, options.signal);
    return host;
  } catch (error) {
    // Another process's start that this one only waited for goes on.
    if (ended === undefined) {
      child.kill('SIGKILL');
      const record = readCell(spec);
      if (record !== undefined) await stopCell(spec, record);
    }
    throw error;
  }
}

/**
 * Sees once per user and dnsmasq whether it runs in a host: with the settings of libvirt's networks it keeps the only user there is.
 * That libvirt takes its own such setting shows when it answers.
 */
async function checkDnsmasq(host: EmbeddedHost, scripts: string, signal: AbortSignal | undefined): Promise<void> {
  const key = `${process.getuid?.() ?? 0} ${fileIdentity(findProgram('dnsmasq') ?? '')}`;
  const verdict = await cachedVerdict('dnsmasq', key, async () => {
    const result = await host.run(['bash', join(scripts, 'check-dnsmasq.sh')], { timeoutMs: 5000, signal });
    return result.code === 0 ? 'works' : `fails: ${result.stderr.trim().split('\n').at(-1) ?? ''}`;
  });
  if (verdict === 'works') return;
  throw new EngineError('host.unavailable', `dnsmasq does not work privately on this machine: ${verdict.replace('fails: ', '')}`, { hint: FALL_BACK });
}

/** A runtime folder that a living host of another prefix uses (a copied prefix has the same uuid) must not be taken from it. */
async function checkRuntimeDirFree(spec: EmbeddedHostSpec, runtimeDir: string): Promise<void> {
  const identity = parseIdentity(readOptional(join(runtimeDir, 'cell')) ?? '');
  if (identity === undefined || !isRunning(identity)) return;
  const facts = readFacts(runtimeDir);
  if (facts === undefined || facts.stateDir === resolve(spec.stateDir)) return;
  throw new EngineError('conflict.locked', `The environment in ${dirname(facts.stateDir)} has the same id ${spec.id}, and its host runs.`, {
    details: { stateDir: facts.stateDir, pid: identity.pid },
    hint: 'One of them is a copy: stop the other one first.',
  });
}

async function isReady(record: CellRecord): Promise<boolean> {
  const marker = join(record.runtimeDir, 'ready');
  if (existsSync(marker)) return true;
  const answer = await askLibvirt(join(record.runtimeDir, 'libvirt', 'libvirt-sock'), 500);
  if (answer === 'not-yet') return false;
  if (answer !== 'ready') {
    throw new EngineError('host.unavailable', `libvirt does not work privately on this machine: ${answer.refused}`, {
      hint: FALL_BACK,
    });
  }
  await writeFile(marker, '');
  return true;
}

async function waitReady(record: CellRecord, signal: AbortSignal | undefined, timeoutMs: number): Promise<void> {
  await until(
    async () => {
      if (!isRunning(record.identity)) throw new EngineError('host.unavailable', "The environment's host ended while it was starting.");
      return (await isReady(record)) || undefined;
    },
    {
      everyMs: 10,
      timeoutMs,
      signal,
      failure: () =>
        new EngineError('host.unavailable', "The libvirt of the environment's host does not answer.", {
          details: { pid: record.identity.pid, runtimeDir: record.runtimeDir },
          hint: 'Stop the environment and start it again.',
        }),
    },
  );
}

/** Why a cell ended before libvirt answered, from what it and libvirtd wrote. */
async function startError(logPath: string, logStart: number, stateDir: string, exit: number): Promise<EngineError> {
  const text = (await readFile(logPath)).subarray(logStart).toString('utf8').trim();
  const details = { exit, log: text.slice(-4000) };
  if (/unshare: (unshare failed|write failed|cannot open)/.test(text)) return checkError(namespaceProblem(), 'host.denied');
  const daemon = readOptional(join(stateDir, 'log', 'libvirtd.log')) ?? '';
  // libvirtd reports a driver that refuses with this line, followed by one that only says that something failed.
  const reason = [...daemon.matchAll(/ error : virStateInitialize:\d+ : (.*)/g)].at(-1)?.[1];
  const sentence = reason ?? text.split('\n').at(-1) ?? '';
  return new EngineError('host.unavailable', `The environment's host did not start: ${sentence}`, {
    details,
    hint: 'Look at the checks of the machine, or use the machine’s own libvirt: host qemu:///system.',
  });
}

function readCell(spec: EmbeddedHostSpec): CellRecord | undefined {
  const identity = parseIdentity(readOptional(join(spec.stateDir, 'cell')) ?? '');
  if (identity === undefined || !identity.rest.startsWith('/')) return undefined;
  return { identity, runtimeDir: identity.rest };
}

function readFacts(runtimeDir: string): Facts | undefined {
  if (!isPrivateFolder(runtimeDir)) return undefined;
  const text = readOptional(join(runtimeDir, 'facts.json'));
  if (text === undefined || text === '') return undefined;
  return Facts.parse(JSON.parse(text));
}

function checkOwner(spec: EmbeddedHostSpec, record: CellRecord): void {
  const owner = lstatSync(join(spec.stateDir, 'cell')).uid;
  if (owner === process.getuid?.()) return;
  throw new EngineError('conflict.locked', `The environment's host runs as another user (uid ${owner}, pid ${record.identity.pid}).`, {
    details: { uid: owner, pid: record.identity.pid },
    hint: 'Work as that user, or stop the environment as that user first.',
  });
}

function hostOf(spec: EmbeddedHostSpec, record: CellRecord, facts: Facts | undefined, log: Log): EmbeddedHost {
  const { identity, runtimeDir } = record;
  const endpoint = { socketPath: join(runtimeDir, 'relay.sock'), alive: () => isRunning(identity) };
  const uplink: UplinkKind = facts?.uplink ?? 'none';
  return {
    kind: 'embedded',
    uri: `qemu:///system?socket=${join(runtimeDir, 'libvirt', 'libvirt-sock')}`,
    accelerator: spec.accelerator === 'auto' ? (facts?.accelerator ?? 'tcg') : spec.accelerator,
    uplink,
    dnsmasqAsRoot: true,
    socketDir: join(runtimeDir, 'vnc'),
    pid: identity.pid,
    dial: (address, port, options) => dialThroughRelay(endpoint, address, port, options),
    listen: (address, port, onConnection) =>
      listenThroughRelay(
        endpoint,
        { address, port, path: join(runtimeDir, `l${randomBytes(4).toString('hex')}.sock`) },
        onConnection,
        log,
      ),
    async run(argv, options = {}) {
      const { cwd, ...rest } = options;
      const inside = cwd === undefined ? argv : ['env', `--chdir=${cwd}`, ...argv];
      // Ends with nsenter, also when that is killed: it would otherwise stay behind in the host's own process tree.
      return await run([...enterArguments(record), 'setpriv', '--pdeathsig', 'KILL', ...inside], {
        ...rest,
        env: { PATH: searchPath(), ...rest.env },
      });
    },
    stop: () => stopCell(spec, record),
  };
}

/** The command that runs what follows in all namespaces of the host. */
function enterArguments(record: CellRecord): readonly string[] {
  const [pid] = (readOptional(join(record.runtimeDir, 'host')) ?? '').split(' ');
  if (pid === undefined || pid === '' || !isRunning(record.identity)) {
    throw new EngineError('host.unavailable', "The environment's host does not run.", { hint: 'Start the environment.' });
  }
  const sameUser = readlinkSync(`/proc/${pid}/ns/user`) === readlinkSync('/proc/self/ns/user');
  const user = sameUser ? [] : ['--user', '--preserve-credentials'];
  return ['nsenter', '--target', pid, ...user, '--net', '--mount', '--pid', '--ipc', '--uts', '--'];
}

/**
 * Kills the cell, which ends every process of the environment, and removes its folders. The kernel has ended all of them when the
 * cell is gone. A host that was started meanwhile is left alone.
 */
async function stopCell(spec: EmbeddedHostSpec, record: CellRecord): Promise<void> {
  kill(record.identity);
  await until(async () => (isRunning(record.identity) ? undefined : true), {
    everyMs: 3,
    timeoutMs: 20_000,
    failure: () => new EngineError('host.unavailable', `The environment's host (pid ${record.identity.pid}) does not end.`, { details: { pid: record.identity.pid } }),
  });
  if (!existsSync(spec.stateDir)) {
    await rm(record.runtimeDir, { recursive: true, force: true });
    return;
  }
  for (let attempt = 0; ; attempt++) {
    try {
      await using _lock = await takeLock(join(spec.stateDir, 'lock'), { purpose: 'stop' });
      await removeTraces(spec, record);
      return;
    } catch (error) {
      if (!(error instanceof EngineError && error.code === 'conflict.locked')) throw error;
      const next = readCell(spec);
      // A new host has begun in the same folders and has cleared them itself.
      if (next !== undefined && next.identity.startTime !== record.identity.startTime && isRunning(next.identity)) return;
      if (attempt > 100) throw error;
      await sleep(10);
    }
  }
}

async function removeTraces(spec: EmbeddedHostSpec, record: CellRecord): Promise<void> {
  const now = parseIdentity(readOptional(join(record.runtimeDir, 'cell')) ?? '');
  if (now === undefined || !isRunning(now)) await rm(record.runtimeDir, { recursive: true, force: true });
  await rm(join(spec.stateDir, 'cell'), { force: true });
}
