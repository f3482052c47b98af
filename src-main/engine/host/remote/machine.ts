import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { type MachineAddress, machineName, parseMachineAddress } from '../../../../src-shared/host/machine-address.ts';
import { openPipe, type PipeEnd } from '../../core/pipe.ts';
import { type RunOptions, type RunResult, run, runChecked } from '../../core/run.ts';
import { shellWord, sshProblem } from '../../core/ssh-problem.ts';
import { confinement } from '../embedded/confine.ts';
import { makePrivateFolder } from '../embedded/runtime-dir.ts';

/** Exit status of far.sh for a plain no: not there, not running. */
export const FAR_NO = 3;
/** Exit status of our own shell line when the scripts are not there yet. */
const NO_SCRIPTS = 42;
const CONNECT_SECONDS = 10;
/** How long the connection stays open for the next command after its last use. */
const KEPT_SECONDS = 30;

/** Another machine, reached by one connection of the system's ssh, which all commands and forwarded sockets share. */
export interface RemoteMachine {
  /** `user@machine`, for messages. */
  readonly name: string;
  /** Runs a verb of far.sh there, whatever its exit status. Rejects with `host.denied` or `host.unavailable` when ssh does not get there. */
  far(verb: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Like `far`, with stdin and stdout as a stream. The scripts must be there, as they are after any `far`. */
  farPipe(verb: readonly string[]): Promise<{ readonly stream: ReturnType<typeof openPipe>['stream']; readonly ended: Promise<PipeEnd> }>;
  /** Runs a program there. */
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Makes sockets of this machine, by path, lead to sockets there. A socket that leads there already is left alone. */
  forward(sockets: ReadonlyMap<string, string>, signal?: AbortSignal): Promise<void>;
  /** Makes a socket there lead to one here. */
  forwardBack(there: string, here: string): Promise<void>;
  /** Ends the connection, and with it all forwarded sockets. */
  close(): Promise<void>;
}

/** The error for a command there that failed: its last words. */
export function farError(machine: RemoteMachine, what: string, result: RunResult | PipeEnd): EngineError {
  const words = result.stderr.trim().split('\n').at(-1) ?? '';
  return new EngineError('host.unavailable', `${what} on ${machine.name}${words === '' ? '.' : `: ${words.replace(/\.$/, '')}.`}`, {
    details: { exit: result.code ?? 'killed', stderr: result.stderr.slice(-4000) },
  });
}

/** Reads the address of a machine; `input.invalid` for anything else. */
export function requireMachine(uri: string): MachineAddress {
  const address = parseMachineAddress(uri);
  if (address !== undefined) return address;
  throw new EngineError('input.invalid', `${uri} is not the address of a machine.`, {
    hint: 'Write ssh://user@machine, or ssh://machine:port.',
  });
}

/** The options of the system's ssh. It never asks anything: there may be no terminal. */
export function sshOptions(address: MachineAddress, controlPath: string): readonly string[] {
  const options = [
    'BatchMode=yes',
    `ConnectTimeout=${CONNECT_SECONDS}`,
    // A connection that is cut is noticed after three silent times.
    ...['ServerAliveInterval=3', 'ServerAliveCountMax=3'],
    ...['ControlMaster=auto', `ControlPath=${controlPath}`, `ControlPersist=${KEPT_SECONDS}`],
    ...['StreamLocalBindUnlink=yes', 'ClearAllForwardings=yes'],
  ];
  return [
    ...(address.config === undefined ? [] : ['-F', address.config]),
    ...['-T', '-e', 'none'],
    ...options.flatMap((option) => ['-o', option]),
    ...(address.port === undefined ? [] : ['-p', String(address.port)]),
    ...(address.user === undefined ? [] : ['-l', address.user]),
  ];
}

/**
 * Confined runs: ssh may only be used with a configuration of the test's own, and only where that configuration leads to the machine by a
 * program (ProxyCommand), so that ssh itself opens no connection. `host.denied` otherwise.
 */
async function requireConfined(address: MachineAddress): Promise<void> {
  const rule = confinement();
  if (rule.mayLeave()) return;
  if (address.config === undefined) return rule.check(`A connection to ${machineName(address)} by ssh`);
  const { stdout } = await runChecked(['ssh', '-F', address.config, '-G', '--', address.host], `ssh does not accept ${address.config}.`);
  const hasProgram = /^proxycommand (?!none$)/m.test(stdout) && !/^proxyjump (?!none$)/m.test(stdout);
  if (!hasProgram) rule.check(`A connection to ${machineName(address)} by ssh`);
}

/**
 * The machine at `uri`. Nothing is connected until it is used. `folder` (private, with a short path) holds the sockets on this side,
 * `scripts` is the folder of far.sh and of what it starts.
 */
export function remoteMachine(uri: string, places: { readonly folder: string; readonly scripts: string }): RemoteMachine {
  const address = requireMachine(uri);
  const name = machineName(address);
  const controlPath = join(places.folder, 'ssh');
  const options = sshOptions(address, controlPath);
  let allowed: Promise<void> | undefined;
  let version: Promise<string> | undefined;

  async function prepare(): Promise<void> {
    allowed ??= requireConfined(address);
    await allowed;
    makePrivateFolder(places.folder);
  }

  async function ssh(script: string, runOptions: RunOptions = {}): Promise<RunResult> {
    await prepare();
    const result = await run(['ssh', ...options, '--', address.host, script], runOptions);
    const problem = sshProblem(name, result);
    if (problem !== undefined) throw problem;
    return result;
  }

  async function farScript(verb: readonly string[]): Promise<string> {
    version ??= scriptsVersion(places.scripts);
    const script = `d=${helperFolder(await version)}; [ -e "$d/far.sh" ] || exit ${NO_SCRIPTS}; exec bash "$d/far.sh" "$@"`;
    return ['sh', '-c', script, 'far', ...verb].map(shellWord).join(' ');
  }

  async function sendScripts(signal: AbortSignal | undefined): Promise<void> {
    const archive = await runChecked(['tar', '-C', places.scripts, '-cf', '-', '.'], 'The scripts of the host could not be packed.', {
      signal,
    });
    const script = `d=${helperFolder(await (version ?? ''))}; command -v bash >/dev/null || { echo "bash is not installed" >&2; exit 1; }; mkdir -p "$d.$$" && tar -xf - -C "$d.$$" && { mv -T "$d.$$" "$d" 2>/dev/null || rm -rf "$d.$$"; }; [ -e "$d/far.sh" ]`;
    const result = await ssh(`sh -c ${shellWord(script)}`, { input: archive.stdout, signal });
    if (result.code !== 0) throw farError(machine, 'This program’s scripts could not be put', result);
  }

  async function control(words: readonly string[], what: string, signal?: AbortSignal): Promise<void> {
    await prepare();
    // Asks the connection that is there: the configuration, and what it may forward by itself, does not matter.
    const result = await run(['ssh', '-F', 'none', '-o', `ControlPath=${controlPath}`, ...words, '--', address.host], { signal });
    if (result.code !== 0) throw farError(machine, what, result);
  }

  const machine: RemoteMachine = {
    name,
    async far(verb, runOptions = {}) {
      const script = await farScript(verb);
      const result = await ssh(script, runOptions);
      if (result.code !== NO_SCRIPTS) return result;
      await sendScripts(runOptions.signal);
      return await ssh(script, runOptions);
    },
    async farPipe(verb) {
      await prepare();
      return openPipe(['ssh', ...options, '--', address.host, await farScript(verb)]);
    },
    run: async (argv, runOptions) => await ssh(argv.map(shellWord).join(' '), runOptions),
    async forward(sockets, signal) {
      const each = [...sockets].flatMap(([here, there]) => ['-L', `${here}:${there}`]);
      await control(['-O', 'forward', ...each], 'A socket could not be forwarded', signal);
    },
    async forwardBack(there, here) {
      await control(['-O', 'forward', '-R', `${there}:${here}`], 'A socket could not be forwarded');
    },
    async close() {
      // Fails where there is no connection.
      await run(['ssh', '-F', 'none', '-o', `ControlPath=${controlPath}`, '-O', 'exit', '--', address.host]);
      await rm(places.folder, { recursive: true, force: true });
    },
  };
  return machine;
}

function helperFolder(version: string): string {
  return `\${XDG_CACHE_HOME:-$HOME/.cache}/lago/helper/${version}`;
}

/** Changes with any of the scripts. */
async function scriptsVersion(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of (await readdir(folder)).sort()) hash.update(`${name}\n`).update(await readFile(join(folder, name)));
  return hash.digest('hex').slice(0, 16);
}
