import { EngineError } from '../../../../src-shared/errors.ts';

/** Target of a libvirt URI. */
export interface LibvirtTarget {
  /** As given. */
  readonly uri: string;
  /** The URI that the daemon opens: without our transport and socket. */
  readonly name: string;
  readonly driver: 'qemu' | 'test';
  /** Unix sockets to try, best first. */
  readonly sockets: readonly string[];
  /** The machine that the daemon is on, and how it is reached; undefined for this machine. */
  readonly ssh: SshTarget | undefined;
  /** Each connection has its own state (test driver on a file), so there may be only one. */
  readonly privateState: boolean;
}

/** How to reach a daemon by ssh. What is undefined is left to the user's ssh configuration. */
export interface SshTarget {
  /** The system's ssh program, or the built-in client. */
  readonly client: 'program' | 'built-in';
  readonly host: string;
  readonly port: number | undefined;
  readonly user: string | undefined;
  /** Path of the ssh program. */
  readonly command: string;
  readonly keyFile: string | undefined;
  readonly knownHosts: string | undefined;
  /** Whether the host key is compared with the known ones. */
  readonly verify: boolean;
  /** Whether virt-ssh-helper may choose the socket. */
  readonly helper: boolean;
  /** Answers what only the user knows, for the built-in client. */
  readonly questions?: SshQuestions;
}

/** Questions of the built-in ssh client; undefined or false ends the attempt. */
export interface SshQuestions {
  readonly password?: (user: string, host: string) => Promise<string | undefined>;
  /** Whether the unknown host key with this fingerprint (`SHA256:…`) is the right one. */
  readonly hostKey?: (host: string, fingerprint: string) => Promise<boolean>;
}

/** How to start the system's daemon, whichever kind the distribution runs. */
export const START_DAEMON =
  'sudo systemctl start libvirtd (where libvirt has one daemon per driver: sudo systemctl start virtqemud.socket virtnetworkd.socket)';

/** Linux: 108 bytes with the final zero. */
const SOCKET_PATH_MAX = 107;

const KNOWN =
  'Known are qemu:///system, qemu:///session, qemu+ssh://user@host/system and test:///default, each with ?socket=/path if needed.';

function refuse(uri: string, why: string): EngineError {
  return new EngineError('input.invalid', `The libvirt address ${uri} ${why}.`, { hint: KNOWN });
}

function runtimeDir(env: Readonly<Record<string, string | undefined>>): string {
  const given = env['XDG_RUNTIME_DIR'];
  if (given !== undefined && given !== '') return `${given}/libvirt`;
  const cache = env['XDG_CACHE_HOME'] ?? `${env['HOME'] ?? ''}/.cache`;
  return `${cache}/libvirt`;
}

/** On this machine by their paths; on another one as its shell expands them. */
function defaultSockets(
  name: string,
  driver: 'qemu' | 'test',
  remote: boolean,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const session = remote ? '${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/libvirt' : runtimeDir(env);
  // A far machine may have no /run, but /var/run leads there.
  const system = remote ? '/var/run/libvirt' : '/run/libvirt';
  if (driver === 'test') return [`${session}/libvirt-sock`, `${system}/libvirt-sock`];
  const dir = name === 'qemu:///session' ? session : system;
  return [`${dir}/virtqemud-sock`, `${dir}/libvirt-sock`];
}

const PARAMETERS: ReadonlySet<string> = new Set(['socket']);
const SSH_PARAMETERS: ReadonlySet<string> = new Set(['socket', 'command', 'keyfile', 'known_hosts', 'no_verify']);

/** A name or address that no program can take for an option. */
const HOST = /^(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.%]+\])$/;
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.@\\-]*$/;

function sshTarget(uri: string, transport: string, authority: string, parameters: ReadonlyMap<string, string>): SshTarget {
  const at = authority.lastIndexOf('@');
  const user = at < 0 ? undefined : decodeURIComponent(authority.slice(0, at));
  const [, name = '', digits] = /^(.*?)(?::(\d+))?$/.exec(authority.slice(at + 1)) ?? [];
  const port = digits === undefined ? undefined : Number(digits);
  if (!HOST.test(name)) throw refuse(uri, name === '' ? 'names no machine' : `names a machine that cannot be: ${name}`);
  if (user !== undefined && !USER.test(user)) throw refuse(uri, `names a user that cannot be: ${user}`);
  if (port !== undefined && (port < 1 || port > 65535)) throw refuse(uri, `has the port ${port}`);
  for (const key of ['command', 'keyfile', 'known_hosts'])
    if (parameters.get(key)?.startsWith('/') === false) throw refuse(uri, `has a ${key} that is not an absolute path`);
  return {
    client: transport === 'ssh' ? 'program' : 'built-in',
    host: name.replace(/^\[|\]$/g, ''),
    port,
    user,
    command: parameters.get('command') ?? 'ssh',
    keyFile: parameters.get('keyfile'),
    knownHosts: parameters.get('known_hosts'),
    verify: (parameters.get('no_verify') ?? '0') === '0',
    // It knows the usual sockets only.
    helper: !parameters.has('socket'),
  };
}

/**
 * Accepts `qemu:///system`, `qemu:///session`, `test:///default` and `test:///absolute/file.xml`, each with `?socket=/path`, the same
 * with `+unix`, and with `+ssh://[user@]host[:port]` (by the system's ssh program) or `+libssh2://` (by the built-in client); of ssh
 * libvirt's parameters `socket`, `command`, `keyfile`, `known_hosts` and `no_verify`. Anything else is `input.invalid`. Without a socket,
 * virtqemud's (the daemon for QEMU where libvirt has one per driver) is tried before libvirtd's, which a proxy may have there.
 */
export function parseLibvirtUri(uri: string, env: Readonly<Record<string, string | undefined>> = process.env): LibvirtTarget {
  const match = /^(qemu|test)(?:\+(unix|ssh|libssh2?))?:\/\/([^/?#]*)\/([^?#]+)(?:\?([^#]*))?$/.exec(uri);
  if (match === null) throw refuse(uri, 'is not one that Lago can connect to');
  const driver = match[1] === 'qemu' ? 'qemu' : 'test';
  const transport = match[2] ?? 'unix';
  const authority = match[3] ?? '';
  const path = match[4] ?? '';
  const remote = transport !== 'unix';
  if (!remote && authority !== '') throw refuse(uri, 'is not one that Lago can connect to');
  if (driver === 'qemu' && path !== 'system' && path !== 'session') throw refuse(uri, 'names neither the system nor the session daemon');
  const parameters = new Map(new URLSearchParams(match[5] ?? ''));
  const unknown = [...parameters.keys()].find((key) => !(remote ? SSH_PARAMETERS : PARAMETERS).has(key));
  if (unknown !== undefined) throw refuse(uri, `has the parameter "${unknown}", which is not supported`);
  const socket = parameters.get('socket');
  if (socket !== undefined && !socket.startsWith('/')) throw refuse(uri, 'has a socket that is not an absolute path');
  const name = `${driver}:///${path}`;
  const sockets = socket === undefined ? defaultSockets(name, driver, remote, env) : [socket];
  const long = remote ? undefined : sockets.find((one) => Buffer.byteLength(one) > SOCKET_PATH_MAX);
  if (long !== undefined)
    throw refuse(uri, `leads to a socket path of more than ${SOCKET_PATH_MAX} bytes, which Linux does not allow: ${long}`);
  const ssh = remote ? sshTarget(uri, transport, authority, parameters) : undefined;
  return { uri, name, driver, sockets, ssh, privateState: driver === 'test' && path !== 'default' };
}
