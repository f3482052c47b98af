import type { Duplex } from 'node:stream';
import { EngineError } from '../../../../src-shared/errors.ts';
import { openPipe, type PipeEnd } from '../../core/pipe.ts';
import { type LibvirtTarget, type SshTarget, START_DAEMON } from './uri.ts';

/** A byte stream to a daemon, and why it ended before the daemon answered. */
export interface SshLine {
  readonly stream: Duplex;
  /** Resolves once the stream has ended. */
  readonly failure: () => Promise<EngineError>;
}

const CONNECT_SECONDS = 15;
/** ssh's exit code for failures of its own. */
const SSH_FAILED = 255;
const NO_TOOL = 'lago-no-tool';
const NO_SOCKET = 'lago-no-socket';

/** A word for a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * What the far side's shell does: virt-ssh-helper finds the right socket by itself; without it, netcat connects to the first one there is.
 * Some netcats stay when their input ends unless told not to.
 */
export function remoteScript(target: LibvirtTarget): string {
  const helper =
    target.ssh?.helper === true ? `if command -v virt-ssh-helper >/dev/null; then exec virt-ssh-helper ${quoted(target.name)}; fi; ` : '';
  // A path that the user gave is no shell text; the usual ones have variables in them.
  const sockets = target.sockets.map((socket) => (target.ssh?.helper === true ? `"${socket}"` : quoted(socket))).join(' ');
  const script =
    `${helper}command -v nc >/dev/null || { echo ${NO_TOOL} >&2; exit 1; }; ` +
    `q=; if nc -h 2>&1 | grep -q -e -q; then q=-q0; fi; ` +
    `for s in ${sockets}; do if [ -S "$s" ]; then exec nc $q -U "$s"; fi; done; echo ${NO_SOCKET} >&2; exit 1`;
  return `sh -c ${quoted(script)}`;
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
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED/.test(stderr)) {
    return new EngineError('host.denied', `The ssh host key of ${host} is not the known one: it may be another machine.`, {
      hint: `Find out why. If the machine was installed anew, forget its key with: ssh-keygen -R ${host}`,
      details,
    });
  }
  if (/Host key verification failed|No .* host key is known/.test(stderr)) {
    return new EngineError('host.denied', `The ssh host key of ${host} is not known yet.`, {
      hint: `Connect once with "ssh ${host}" and compare the key, or put it into known_hosts.`,
      details,
    });
  }
  if (/Permission denied \(|Too many authentication failures/.test(stderr)) {
    return new EngineError('host.denied', `${host} refuses the login by ssh.`, {
      hint: `Check that "ssh ${host} true" works without a password: put your key into its authorized_keys, or name one with ?keyfile=.`,
      details,
    });
  }
  if (code === SSH_FAILED) {
    return new EngineError('host.unavailable', `No connection to ${host} by ssh: ${last}.`, {
      hint: `Check that "ssh ${host} true" works.`,
      details,
    });
  }
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
