import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A libvirtd for tests: unprivileged, in its own directory, reachable only through its socket. */
export interface TestDaemon extends AsyncDisposable {
  readonly socket: string;
  readonly dir: string;
  /** libvirtd's own pid. */
  readonly pid: number;
  /** Ends it at once, like a crash. */
  kill(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}

/**
 * Hides the paths of the machine's libvirt and makes the machine's name resolve (libvirtd would wait 10 s for it). The second user
 * namespace takes away uid 0, since libvirtd would otherwise act as the system's daemon. `exec` keeps the pid. Data is passed in the
 * environment, never as script text.
 */
const INSIDE = `set -eu
mount --bind "$LAB/hosts" /etc/hosts
if [ -d /run/libvirt ]; then mount -t tmpfs tmpfs /run/libvirt; fi
exec unshare --user --map-user=65534 --map-group=65534 "$LIBVIRTD" --config "$LAB/libvirtd.conf" --pid-file "$LAB/libvirtd.pid"
`;

function libvirtdProgram(): string {
  const found = ['/usr/sbin/libvirtd', '/usr/local/sbin/libvirtd'].find((path) => existsSync(path));
  if (found === undefined) throw new Error('These tests need libvirtd: install libvirt-daemon.');
  return found;
}

async function waitForSocket(path: string, child: ChildProcess, errors: () => string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!existsSync(path)) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`libvirtd did not open its socket: ${errors()}`);
    await delay(10);
  }
}

/**
 * Starts it in new network and mount namespaces (plus a user namespace when not root), so that it can touch nothing outside of its
 * directory. Serves `test:///default?socket=…` and `test:///file.xml?socket=…`.
 */
export async function startTestDaemon(): Promise<TestDaemon> {
  const dir = await mkdtemp(join(tmpdir(), 'lago-libvirtd-'));
  const runtime = join(dir, 'run');
  await mkdir(join(runtime, 'libvirt'), { recursive: true, mode: 0o700 });
  await writeFile(join(dir, 'hosts'), `127.0.0.1 localhost ${hostname()}\n`);
  await writeFile(
    join(dir, 'libvirtd.conf'),
    'listen_tls = 0\nlisten_tcp = 0\nauth_unix_ro = "none"\nauth_unix_rw = "none"\nlog_level = 4\n',
  );
  const namespaces = process.getuid?.() === 0 ? ['--net', '--mount'] : ['--user', '--map-root-user', '--net', '--mount'];
  const child = spawn('unshare', [...namespaces, 'sh', '-c', INSIDE], {
    env: {
      PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C',
      HOME: dir,
      XDG_RUNTIME_DIR: runtime,
      XDG_CONFIG_HOME: join(dir, 'config'),
      XDG_CACHE_HOME: join(dir, 'cache'),
      XDG_DATA_HOME: join(dir, 'data'),
      LAB: dir,
      LIBVIRTD: libvirtdProgram(),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000);
  });
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await exited;
    }
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const socket = join(runtime, 'libvirt', 'libvirt-sock');
    await waitForSocket(socket, child, () => errors);
    if (child.pid === undefined) throw new Error('libvirtd has no pid.');
    return { socket, dir, pid: child.pid, kill: (signal) => child.kill(signal), stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
