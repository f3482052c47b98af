import { randomBytes } from 'node:crypto';
import { existsSync, readlinkSync, renameSync, symlinkSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { Log } from '../../core/log.ts';
import { isRunning, parseIdentity, readOptional } from '../../core/process-identity.ts';
import { run } from '../../core/run.ts';
import { until } from '../../core/until.ts';
import type { EmbeddedHost, EmbeddedHostSpec } from '../host.ts';
import { findAccelerator } from '../kvm.ts';
import { requireEmbedded } from '../requirements.ts';
import { cachedVerdict, fileIdentity } from '../verdict-cache.ts';
import { type CellFacts, type CellRecord, checkOwner, readCell, readFacts, type StartedCell, startCell, stopCell } from './cell.ts';
import { daemonLives } from './daemons.ts';
import { askLibvirt } from './libvirt-answers.ts';
import { findProgram, searchPath } from './programs.ts';
import { dialThroughRelay, listenThroughRelay } from './relay.ts';
import { makePrivateFolder, runtimeDirFor } from './runtime-dir.ts';
import { chooseUplink, type UplinkKind } from './uplink.ts';

export interface EmbeddedHostOptions {
  /** The project's `resources` folder (or its packaged copy); the scripts are in `host` below it. */
  readonly resourcesDir: string;
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
}

/** Time limit of a start: on an idle machine libvirt is ready after 0.15 s. */
const START_MS = 30_000;
const FALL_BACK = 'Use the machine’s own libvirt for this environment: host qemu:///system.';

/**
 * Finds the environment's running host with a few file reads; starts nothing. Also finds a host that is still starting (or that a killed
 * process abandoned); then it waits briefly for libvirt. `host.unusable` when its processes run but it cannot be reached, or libvirt does
 * not respond.
 */
export async function findEmbeddedHost(spec: EmbeddedHostSpec, options: EmbeddedHostOptions): Promise<EmbeddedHost | undefined> {
  const record = readCell(spec);
  if (record === undefined || !isRunning(record.identity)) return undefined;
  checkOwner(spec, record);
  const facts = readFacts(record.runtimeDir);
  if (facts === undefined) throw lostSockets(record);
  if (!existsSync(join(record.runtimeDir, 'ready'))) await waitReady(record, options.signal, 5000);
  return hostOf(spec, record, facts, options.log);
}

/** Ends the environment's own host with everything in it, even if libvirt hangs. Of one that has ended by itself it removes the traces. */
export async function endEmbeddedHost(spec: EmbeddedHostSpec): Promise<void> {
  const record = readCell(spec);
  if (record === undefined) return;
  if (isRunning(record.identity)) {
    checkOwner(spec, record);
    await stopCell(spec, record);
  } else {
    // A record that no process vouches for may come from anywhere: it does not say what is removed.
    await stopCell(spec, { ...record, runtimeDir: runtimeDirFor(spec.id) });
  }
}

function lostSockets(record: CellRecord): EngineError {
  return new EngineError(
    'host.unusable',
    `The environment's host runs (pid ${record.identity.pid}), but its sockets in ${record.runtimeDir} are gone, as after a logout.`,
    {
      details: { pid: record.identity.pid, runtimeDir: record.runtimeDir, reason: 'sockets' },
      hint: 'Its VMs keep running, but nothing can reach them: "lago stop" powers them off, "lago start" starts them afresh.',
    },
  );
}

/**
 * Starts the environment's own host, or attaches to the running one. Once this resolves, libvirt is ready; the host outlives this process.
 * Cancelling or failing leaves nothing of a host that this call started. Errors: `host.missing-tool`, `host.denied` (the machine's settings
 * forbid it), `host.unavailable` (libvirt does not work privately), `conflict.locked` (it runs as another user), `cancelled`.
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
    // The end of the login session removed its sockets: the host is unreachable, and its VMs would keep the disks locked.
    options.log.warn(`The host of environment ${spec.id} lost its runtime folder ${running.runtimeDir}; it is started again.`);
    await stopCell(spec, running);
  }
  requireEmbedded();
  return await launch(spec, options);
}

async function launch(spec: EmbeddedHostSpec, options: EmbeddedHostOptions): Promise<EmbeddedHost> {
  const runtimeDir = runtimeDirFor(spec.id);
  makePrivateFolder(dirname(runtimeDir));
  await checkRuntimeDirFree(spec, runtimeDir);
  const uplink = chooseUplink(spec.uplink, process.env, options.log);
  const scripts = resolve(options.resourcesDir, 'host');
  const facts = {
    version: 1,
    id: spec.id,
    stateDir: resolve(spec.stateDir),
    uplink: uplink.kind,
    accelerator: await findAccelerator(spec.accelerator, { signal: options.signal }),
  } as const;
  const begin = (): Promise<StartedCell> => startCell(spec, { runtimeDir, scripts, uplink, facts });
  let cell = await begin();
  try {
    const record = await until(
      async () => {
        const state = await cell.state();
        const found = readCell(spec);
        if (found === undefined || !isRunning(found.identity)) {
          // The lock's holder did not become a host: a stop that was just finishing, or a start that failed.
          if (state === 'lost') cell = await begin();
          return undefined;
        }
        checkOwner(spec, found);
        return (await isReady(found)) ? found : undefined;
      },
      {
        everyMs: 8,
        timeoutMs: START_MS,
        signal: options.signal,
        failure: () =>
          new EngineError('host.unavailable', `libvirt did not answer within ${START_MS / 1000} s.`, {
            details: { stateDir: spec.stateDir },
          }),
      },
    );
    const host = hostOf(spec, record, readFacts(record.runtimeDir), options.log);
    await checkDnsmasq(host, scripts, options.signal);
    return host;
  } catch (error) {
    await cell.discard();
    throw error;
  }
}

/**
 * Checks, once per user and dnsmasq, that dnsmasq runs in a host: libvirt's networks configure it to stay root, the only user there.
 * Whether libvirt accepts its own such setting shows when it starts.
 */
async function checkDnsmasq(host: EmbeddedHost, scripts: string, signal: AbortSignal | undefined): Promise<void> {
  const key = `${process.getuid?.() ?? 0} ${fileIdentity(findProgram('dnsmasq') ?? '')}`;
  const check = async (): Promise<string> => {
    const result = await host.run(['bash', join(scripts, 'check-dnsmasq.sh')], { timeoutMs: 5000, signal });
    return result.code === 0 ? 'works' : `fails: ${result.stderr.trim().split('\n').at(-1) ?? ''}`;
  };
  // A failure may have passing causes, as a full disk, and would keep every environment from starting.
  const verdict = await cachedVerdict('dnsmasq', key, check, { isKept: (value) => value === 'works' });
  if (verdict === 'works') return;
  throw new EngineError('host.unavailable', `dnsmasq does not work privately on this machine: ${verdict.replace('fails: ', '')}`, {
    hint: FALL_BACK,
  });
}

/** The runtime folder may belong to a living host of another prefix (a copied prefix has the same uuid). */
async function checkRuntimeDirFree(spec: EmbeddedHostSpec, runtimeDir: string): Promise<void> {
  const identity = parseIdentity(readOptional(join(runtimeDir, 'cell')) ?? '');
  if (identity === undefined || !isRunning(identity)) return;
  const facts = readFacts(runtimeDir);
  if (facts === undefined || facts.stateDir === resolve(spec.stateDir)) return;
  throw new EngineError(
    'conflict.locked',
    `The environment in ${dirname(facts.stateDir)} has the same id ${spec.id}, and its host is running.`,
    {
      details: { stateDir: facts.stateDir, pid: identity.pid },
      hint: 'One of them is a copy: stop the other one first.',
    },
  );
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
        new EngineError('host.unusable', "The libvirt of the environment's host does not answer.", {
          details: { pid: record.identity.pid, runtimeDir: record.runtimeDir },
          hint: 'End it with all its VMs by "lago stop", and start it again.',
        }),
    },
  );
}

function hostOf(spec: EmbeddedHostSpec, record: CellRecord, facts: CellFacts | undefined, log: Log): EmbeddedHost {
  const { identity, runtimeDir } = record;
  const endpoint = { socketPath: join(runtimeDir, 'relay.sock'), alive: () => isRunning(identity), repair: () => repairRelay(runtimeDir) };
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
      listenThroughRelay(endpoint, { address, port, path: join(runtimeDir, `l${randomBytes(4).toString('hex')}.sock`) }, onConnection, log),
    async run(argv, options = {}) {
      const { cwd, ...rest } = options;
      const inside = cwd === undefined ? argv : ['env', `--chdir=${cwd}`, ...argv];
      // Ends with nsenter, even if that is killed; otherwise it would stay in the host's process tree.
      return await run([...enterArguments(record), 'setpriv', '--pdeathsig', 'KILL', ...inside], {
        ...rest,
        // Killed before setpriv has asked for that signal, nsenter alone would leave it behind, and with it the open pipes.
        asGroup: true,
        env: { PATH: searchPath(), ...rest.env },
      });
    },
    daemonLives: (pidFile) => daemonLives(runtimeDir, pidFile),
    stop: () => stopCell(spec, record),
  };
}

/** The relay's program may be gone with the application that started the host (another version, an unmounted image). */
function repairRelay(runtimeDir: string): void {
  const link = join(runtimeDir, 'node');
  if (existsSync(link) || !existsSync(runtimeDir)) return;
  const fresh = `${link}.${randomBytes(4).toString('hex')}`;
  symlinkSync(process.execPath, fresh);
  renameSync(fresh, link);
}

/** The command prefix that enters all namespaces of the host. */
function enterArguments(record: CellRecord): readonly string[] {
  const [pid] = (readOptional(join(record.runtimeDir, 'host')) ?? '').split(' ');
  if (pid === undefined || pid === '' || !isRunning(record.identity)) {
    throw new EngineError('host.unavailable', "The environment's host does not run.", { hint: 'Start the environment.' });
  }
  const sameUser = readlinkSync(`/proc/${pid}/ns/user`) === readlinkSync('/proc/self/ns/user');
  const user = sameUser ? [] : ['--user', '--preserve-credentials'];
  return ['nsenter', '--target', pid, ...user, '--net', '--mount', '--pid', '--ipc', '--uts', '--'];
}
