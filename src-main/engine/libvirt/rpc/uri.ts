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
  /** Each connection has its own state (test driver on a file), so there may be only one. */
  readonly privateState: boolean;
}

/** Linux: 108 bytes with the final zero. */
const SOCKET_PATH_MAX = 107;

const KNOWN = 'Known are qemu:///system, qemu:///session and test:///default, each with ?socket=/path if needed.';

function refuse(uri: string, why: string): EngineError {
  return new EngineError('input.invalid', `The libvirt address ${uri} ${why}.`, { hint: KNOWN });
}

function runtimeDir(env: Readonly<Record<string, string | undefined>>): string {
  const given = env['XDG_RUNTIME_DIR'];
  if (given !== undefined && given !== '') return `${given}/libvirt`;
  const cache = env['XDG_CACHE_HOME'] ?? `${env['HOME'] ?? ''}/.cache`;
  return `${cache}/libvirt`;
}

function defaultSockets(name: string, driver: 'qemu' | 'test', env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const session = runtimeDir(env);
  const system = '/run/libvirt';
  if (driver === 'test') return [`${session}/libvirt-sock`, `${system}/libvirt-sock`];
  const dir = name === 'qemu:///session' ? session : system;
  return [`${dir}/virtqemud-sock`, `${dir}/libvirt-sock`];
}

/**
 * Accepts `qemu:///system`, `qemu:///session`, `test:///default` and `test:///absolute/file.xml`, each with `?socket=/path`, and the same
 * with `+unix`. Anything else is `input.invalid`, above all host names: nothing here goes over a network. Without a socket, the modular
 * daemon's (virtqemud) is tried before libvirtd's.
 */
export function parseLibvirtUri(uri: string, env: Readonly<Record<string, string | undefined>> = process.env): LibvirtTarget {
  const match = /^(qemu|test)(?:\+unix)?:\/\/\/([^?#]+)(?:\?([^#]*))?$/.exec(uri);
  if (match === null) throw refuse(uri, 'is not one that Lago can connect to');
  const driver = match[1] === 'qemu' ? 'qemu' : 'test';
  const path = match[2] ?? '';
  if (driver === 'qemu' && path !== 'system' && path !== 'session') throw refuse(uri, 'names neither the system nor the session daemon');
  let socket: string | undefined;
  for (const [key, value] of new URLSearchParams(match[3] ?? '')) {
    if (key !== 'socket') throw refuse(uri, `has the parameter "${key}", which is not supported`);
    socket = value;
  }
  if (socket !== undefined && !socket.startsWith('/')) throw refuse(uri, 'has a socket that is not an absolute path');
  const name = `${driver}:///${path}`;
  const sockets = socket === undefined ? defaultSockets(name, driver, env) : [socket];
  const long = sockets.find((one) => Buffer.byteLength(one) > SOCKET_PATH_MAX);
  if (long !== undefined)
    throw refuse(uri, `leads to a socket path of more than ${SOCKET_PATH_MAX} bytes, which Linux does not allow: ${long}`);
  return { uri, name, driver, sockets, privateState: driver === 'test' && path !== 'default' };
}
