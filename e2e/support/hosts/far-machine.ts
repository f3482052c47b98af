import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Scratch } from '../scratch.ts';

/** Another machine: an sshd in namespaces of its own (`far-machine.sh`), which only the ssh configuration of the test leads to. */
export interface FarMachine {
  /** What a user gives as host. */
  readonly uri: string;
  /** Runs a shell line there, and returns what it printed. */
  run(line: string): string;
  /** Cuts every connection, as a broken cable would. */
  cut(): void;
  stop(): Promise<void>;
}

/** `without`: paths of programs that it does not have. */
export async function startFarMachine(scratch: Scratch, without: readonly string[] = []): Promise<FarMachine> {
  const lab = join(scratch.dir, 'far');
  mkdirSync(lab, { mode: 0o700 });
  const user = userInfo().username;
  for (const key of ['host', 'id']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(lab, key)]);
  copyFileSync(join(lab, 'id.pub'), join(lab, 'authorized'));
  const hostKey = execFileSync('ssh-keygen', ['-y', '-f', join(lab, 'host')], { encoding: 'utf8' }).trim();
  writeFileSync(join(lab, 'known_hosts'), `far ${hostKey}\n`);
  const settings = ['Port 22', 'ListenAddress 127.0.0.1', 'HostKey /run/keys/host', 'AuthorizedKeysFile /run/keys/authorized'];
  const login = ['PasswordAuthentication no', 'KbdInteractiveAuthentication no', 'UsePAM no', 'StrictModes no', 'PermitRootLogin yes'];
  writeFileSync(
    join(lab, 'sshd_config'),
    [...settings, ...login, 'PidFile /run/sshd.pid', 'MaxStartups 100', 'MaxSessions 100'].join('\n'),
  );
  const asUser = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const namespaces = [...asUser, '--net', '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', '--mount-proc'];
  const child = spawn('unshare', [...namespaces, 'bash', join(import.meta.dirname, 'far-machine.sh')], {
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LAB: lab, WITHOUT: without.join(' ') },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await listening(child);
  const enter = [
    'nsenter',
    '-t',
    String(child.pid),
    ...(asUser.length === 0 ? [] : ['--user', '--preserve-credentials']),
    '--net',
    ...['nc', '127.0.0.1', '22'],
  ];
  const config = join(lab, 'ssh_config');
  const options = [
    `ProxyCommand ${enter.join(' ')}`,
    `IdentityFile ${lab}/id`,
    'IdentitiesOnly yes',
    `UserKnownHostsFile ${lab}/known_hosts`,
  ];
  writeFileSync(config, ['Host far', ...[...options, 'HostKeyAlias far', `User ${user}`].map((line) => `  ${line}`), ''].join('\n'));
  return {
    uri: `ssh://far?config=${config}`,
    run: (line) => execFileSync('ssh', ['-F', config, '-o', 'BatchMode=yes', 'far', line], { encoding: 'utf8' }),
    cut() {
      // All but the one that this line comes by.
      const line = 'for pid in $(pgrep -f "[s]shd: .*@notty"); do [ "$pid" = "$PPID" ] || kill -KILL "$pid"; done';
      execFileSync('ssh', ['-F', config, '-o', 'BatchMode=yes', 'far', line]);
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function listening(child: ChildProcess): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('Server listening')) resolve();
    });
    child.on('exit', () => reject(new Error(`The other machine ended: ${said}`)));
  });
}
