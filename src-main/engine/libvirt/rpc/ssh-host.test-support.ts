import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { until } from '../../core/until.ts';

/** "Another machine" for tests: an sshd on the loopback of a network namespace of its own, with a /run of its own. */
export interface SshHost extends AsyncDisposable {
  /** Part of an address: `?command=…&keyfile=…&known_hosts=…`. The command is an ssh inside the namespace, from which no way leads out. */
  parameters(overrides?: { readonly keyfile?: string; readonly known_hosts?: string }): string;
  readonly address: string;
  readonly folder: string;
}

export interface SshHostOptions {
  /** Links in the far /run/libvirt, by name, and the sockets they lead to. */
  readonly sockets?: Readonly<Record<string, string>>;
  /** Programs that the far side does not have. */
  readonly without?: readonly string[];
}

/** Inside the namespaces. Data is passed in the environment, never as script text. */
const INSIDE = `set -eu
ip link set lo up
mount -t tmpfs run /run
mkdir -p /run/sshd /run/libvirt
cp -P "$LAB/links/." /run/libvirt/ -r
for program in $WITHOUT; do mount --bind /dev/null "$program"; done
exec /usr/sbin/sshd -D -e -f "$LAB/sshd_config"
`;

const PORT = 22;

/** Needs openssh-server; nothing listens on this machine's own loopback. */
export async function startSshHost({ sockets = {}, without = [] }: SshHostOptions = {}): Promise<SshHost> {
  const folder = await mkdtemp(join(tmpdir(), 'lago-sshd-'));
  const user = userInfo().username;
  for (const key of ['host', 'id', 'stranger']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, key)]);
  await copyFile(join(folder, 'id.pub'), join(folder, 'authorized'));
  const hostKey = execFileSync('ssh-keygen', ['-y', '-f', join(folder, 'host')], { encoding: 'utf8' }).trim();
  await writeFile(join(folder, 'known_hosts'), `127.0.0.1 ${hostKey}\n`);
  await writeFile(join(folder, 'no_hosts'), '');
  await writeFile(
    join(folder, 'sshd_config'),
    [
      ...[`Port ${PORT}`, 'ListenAddress 127.0.0.1', `HostKey ${folder}/host`, `AuthorizedKeysFile ${folder}/authorized`],
      ...['PasswordAuthentication no', 'KbdInteractiveAuthentication no', 'UsePAM no', 'StrictModes no', 'PermitRootLogin yes'],
      ...[`PidFile ${folder}/sshd.pid`, 'MaxStartups 100'],
    ].join('\n'),
  );
  execFileSync('mkdir', [join(folder, 'links')]);
  for (const [name, path] of Object.entries(sockets)) execFileSync('ln', ['-s', path, join(folder, 'links', name)]);
  const asUser = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const child = spawn('unshare', [...asUser, '--net', '--mount', 'sh', '-c', INSIDE], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LAB: folder, WITHOUT: without.join(' ') },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const stop = async (): Promise<void> => {
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await listening(child);
    const enter = ['nsenter', '-t', String(child.pid), ...(asUser.length === 0 ? [] : ['--user', '--preserve-credentials']), '--net'];
    await writeFile(join(folder, 'ssh'), `#!/bin/sh\nexec ${enter.join(' ')} ssh -F none "$@"\n`);
    await chmod(join(folder, 'ssh'), 0o755);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    folder,
    address: `${user}@127.0.0.1:${PORT}`,
    parameters({ keyfile = 'id', known_hosts = 'known_hosts' } = {}) {
      return `command=${folder}/ssh&keyfile=${folder}/${keyfile}&known_hosts=${folder}/${known_hosts}`;
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function listening(child: ChildProcess): Promise<void> {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await until(
    async () => {
      if (child.exitCode !== null) throw new EngineError('internal', `sshd ended: ${said}`);
      return await Promise.resolve(said.includes('Server listening') ? true : undefined);
    },
    { everyMs: 10, timeoutMs: 30_000, failure: () => new EngineError('internal', `sshd does not listen: ${said}`) },
  );
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
