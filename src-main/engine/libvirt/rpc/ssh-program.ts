import type { Duplex } from 'node:stream';
import { EngineError } from '../../../../src-shared/errors.ts';
import { openPipe, type PipeEnd } from '../../core/pipe.ts';
import { shellWord, sshProblem } from '../../core/ssh-problem.ts';
import { type LibvirtTarget, type SshTarget, START_DAEMON } from './uri.ts';

/** A byte stream to a daemon, and why it ended before the daemon answered. */
export interface SshLine {
  readonly stream: Duplex;
  /** Resolves once the stream has ended. */
  readonly failure: () => Promise<EngineError>;
}

const CONNECT_SECONDS = 15;
const NO_TOOL = 'lago-no-tool';
const NO_SOCKET = 'lago-no-socket';

/**
 * What the far side's shell does: virt-ssh-helper finds the right socket by itself; without it, netcat connects to the first one there is.
 * Some netcats stay when their input ends unless told not to.
 */
export function remoteScript(target: LibvirtTarget): string {
  const helper =
    target.ssh?.helper === true
      ? `if command -v virt-ssh-helper >/dev/null; then exec virt-ssh-helper ${shellWord(target.name)}; fi; `
      : '';
  // A path that the user gave is no shell text; the usual ones have variables in them.
  const sockets = target.sockets.map((socket) => (target.ssh?.helper === true ? `"${socket}"` : shellWord(socket))).join(' ');
  const script =
    `${helper}command -v nc >/dev/null || { echo ${NO_TOOL} >&2; exit 1; }; ` +
    `q=; if nc -h 2>&1 | grep -q -e -q; then q=-q0; fi; ` +
    `for s in ${sockets}; do if [ -S "$s" ]; then exec nc $q -U "$s"; fi; done; echo ${NO_SOCKET} >&2; exit 1`;
  return `sh -c ${shellWord(script)}`;
}

/** The command line of the system's ssh. It never asks anything: there may be no terminal. */
export function sshArguments(ssh: SshTarget, script: string): readonly string[] {
  return [
    ssh.command,
    ...['-T', '-e', 'none', '-o', 'BatchMode=yes', '-o', `ConnectTimeout=${CONNECT_SECONDS}`],
    ...(ssh.port === undefined ? [] : ['-p', String(ssh.port)]),
    ...(ssh.user === undefined ? [] : ['-l', ssh.user]),
    ...(ssh.keyFile === undefined ? [] : ['-i', ssh.keyFile, '-o', 'IdentitiesOnly=yes']),
    ...(ssh.knownHosts === undefined ? [] : ['-o', `UserKnownHostsFile="${ssh.knownHosts}"`]),
    ...(ssh.verify ? [] : ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null']),
    ...['--', ssh.host, script],
  ];
}

/** Connects by the system's ssh program, with the user's configuration, agent and jump hosts. */
export function connectBySshProgram(target: LibvirtTarget, ssh: SshTarget): SshLine {
  const { stream, ended } = openPipe(sshArguments(ssh, remoteScript(target)));
  return {
    stream,
    async failure() {
      try {
        return sshFailure(ssh, target, await ended);
      } catch (error) {
        if (error instanceof EngineError) return error;
        throw error;
      }
    },
  };
}

/** What went wrong, from the words of ssh, virt-ssh-helper and netcat. */
export function sshFailure(ssh: SshTarget, target: LibvirtTarget, { code, stderr }: PipeEnd): EngineError {
  const { host } = ssh;
  const details = { host, exit: code ?? 'killed', stderr: stderr.slice(-2000) };
  const lines = stderr.split('\n').map((line) => line.trim());
  const last = lines.filter((line) => line !== '').at(-1) ?? 'no reason was given';
  const problem = sshProblem(host, { code, stderr });
  if (problem !== undefined) return problem;
  if (stderr.includes(NO_TOOL)) {
    return new EngineError('host.unavailable', `${host} has neither virt-ssh-helper nor nc, one of which must lead to libvirt's socket.`, {
      hint: 'Install libvirt-daemon or netcat there.',
      details: { ...details, reason: 'no-tool' },
    });
  }
  if (/Permission denied/.test(stderr)) {
    return new EngineError('host.denied', `The user on ${host} may not use libvirt's socket: ${last}.`, {
      hint: `Add the user to the group libvirt on ${host} (sudo usermod -aG libvirt USER).`,
      details,
    });
  }
  return new EngineError(
    'host.unavailable',
    `libvirt does not answer on ${host} (${target.name})${stderr.includes(NO_SOCKET) ? '' : `: ${last}`}.`,
    { hint: `Install libvirt-daemon-system there and start it with: ${START_DAEMON}`, details },
  );
}
