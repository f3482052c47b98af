import { chmod, chown, lstat, mkdir, readFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { EngineError } from '../../../src-shared/errors.ts';
import type { Log } from '../core/log.ts';
import { run } from '../core/run.ts';
import { dialFromMachine } from './direct.ts';
import { confinement } from './embedded/confine.ts';
import { listenError } from './embedded/relay.ts';
import { runtimeRoot, SOCKET_PATH_LIMIT } from './embedded/runtime-dir.ts';
import type { Host } from './host.ts';
import { findAccelerator } from './kvm.ts';

export interface SystemHostSpec {
  /** libvirt URI on this machine: `qemu:///system`, `qemu:///session`, each with `?socket=/path`. */
  readonly uri: string;
  readonly accelerator: 'auto' | 'kvm' | 'tcg';
  /** Folder for VNC sockets; created if missing and opened to libvirt's QEMU user. Default: one per user. */
  readonly socketDir?: string;
}

/** Users that run QEMU on common distributions. */
const QEMU_USERS = ['libvirt-qemu', 'qemu'];
/** `/`, a uuid and `.sock`. */
const SOCKET_NAME_LENGTH = 42;

/**
 * The machine's own libvirt as an environment's host. Starts nothing; whether libvirt works shows on connecting. In confined runs it is
 * refused (`host.denied`) in the machine's own network, and so is every connection from there. `input.invalid` for another machine's.
 */
export async function openSystemHost(
  spec: SystemHostSpec,
  options: { readonly log: Log; readonly signal?: AbortSignal | undefined },
): Promise<Host> {
  if (/^\w+\+(ssh|libssh2?):/.test(spec.uri)) {
    throw new EngineError('input.invalid', `The libvirt ${spec.uri} is on another machine, where images and networks are out of reach.`, {
      hint: 'Use a libvirt of this machine: qemu:///system or qemu:///session.',
    });
  }
  const rule = confinement();
  rule.check(`The libvirt ${spec.uri}`);
  const socketDir = spec.socketDir ?? defaultSocketDir(spec.uri);
  if (socketDir.length + SOCKET_NAME_LENGTH > SOCKET_PATH_LIMIT) {
    throw new EngineError('input.invalid', `The folder ${socketDir} is too long a path for the VMs' screens.`, {
      details: { socketDir },
      hint: `Choose one of at most ${SOCKET_PATH_LIMIT - SOCKET_NAME_LENGTH} characters.`,
    });
  }
  await openSocketDir(socketDir, isSession(spec.uri));
  const accelerator = await findAccelerator(spec.accelerator, { signal: options.signal });
  return {
    kind: 'system',
    uri: spec.uri,
    accelerator,
    uplink: 'none',
    dnsmasqAsRoot: false,
    socketDir,
    dial: dialFromMachine,
    async listen(address, port, onConnection) {
      rule.checkDial(address);
      return await listenDirectly(address, port, onConnection);
    },
    async run(argv, runOptions) {
      rule.check(`The program ${argv[0] ?? ''} in the machine's network`);
      return await run(argv, runOptions);
    },
  };
}

/** Outside this user's private runtime folder, which the machine's QEMU cannot enter; inside it for a session libvirt. */
function defaultSocketDir(uri: string): string {
  if (isSession(uri)) return join(runtimeRoot(), 'vnc');
  return process.getuid?.() === 0 ? '/run/lago-vnc' : `/tmp/lago-vnc-${process.getuid?.() ?? 0}`;
}

function isSession(uri: string): boolean {
  return uri.startsWith('qemu:///session');
}

/** Lets the machine's QEMU create sockets there: it runs as a separate user, except in a session libvirt. */
async function openSocketDir(path: string, session: boolean): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (session) return;
  const found = await lstat(path);
  if (!found.isDirectory() || ![process.getuid?.(), await qemuUser()].includes(found.uid)) {
    throw new EngineError('host.denied', `${path} is not a folder of this user.`, { details: { path }, hint: `Remove ${path}.` });
  }
  const qemu = process.getuid?.() === 0 ? await qemuUser() : undefined;
  if (qemu === undefined) await chmod(path, 0o1733);
  else {
    await chown(path, qemu, -1);
    await chmod(path, 0o700);
  }
}

async function qemuUser(): Promise<number | undefined> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const found = lines.find((fields) => QEMU_USERS.includes(fields[0] ?? ''));
  return found === undefined ? undefined : Number(found[2]);
}

async function listenDirectly(address: string, port: number, onConnection: (stream: Duplex) => void): Promise<AsyncDisposable> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    onConnection(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(address, port, error.code ?? error.message)));
    server.listen(port, address, resolve);
  });
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
