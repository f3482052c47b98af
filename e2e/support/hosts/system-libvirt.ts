import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scratch } from '../scratch.ts';

/** A libvirt like the machine's own, in namespaces that only tests enter. */
export interface SystemLibvirt {
  /** Words before a command that make it use this libvirt. */
  readonly enter: readonly string[];
  /** Runs `virsh ARGS` and returns its output. */
  virsh(...args: readonly string[]): string;
  stop(): Promise<void>;
}

/** Starts it; resolves when libvirt answers. */
export async function startSystemLibvirt(scratch: Scratch): Promise<SystemLibvirt> {
  const folder = join(scratch.dir, 'libvirt');
  const script = join(import.meta.dirname, 'system-libvirt.sh');
  const daemon: ChildProcess = spawn('unshare', ['--net', '--mount', '--pid', '--fork', '--kill-child', 'bash', script, folder], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: scratch.env,
  });
  let said = '';
  daemon.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  const deadline = Date.now() + 60_000;
  while (!existsSync(join(folder, 'run/libvirt-sock'))) {
    if (daemon.exitCode !== null || Date.now() > deadline) throw new Error(`libvirtd did not start: ${said}`);
    await sleep(50);
  }
  // `unshare` itself stays outside; enter the namespaces of its child.
  const children = readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'utf8').trim();
  const enter = ['nsenter', '-t', children, '--net', '--mount'];
  return {
    enter,
    virsh: (...args) => {
      const [program = '', ...rest] = [...enter, 'virsh', '-q', '-c', 'qemu:///system', ...args];
      return execFileSync(program, rest, { encoding: 'utf8' });
    },
    async stop() {
      const ended = new Promise<void>((resolve) => daemon.once('exit', () => resolve()));
      daemon.kill('SIGKILL');
      await ended;
    },
  };
}
