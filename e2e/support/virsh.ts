import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Scratch } from './scratch.ts';

/** Runs `virsh ARGS` on the own host of the only environment of a scratch folder that is up, as another program would; returns its output. */
export function virsh(scratch: Scratch, ...args: readonly string[]): string {
  const runtime = join(scratch.env['XDG_RUNTIME_DIR'] ?? '', 'lago');
  const socket = (host: string): string => join(runtime, host, 'libvirt/libvirt-sock');
  const [host = ''] = readdirSync(runtime).filter((name) => existsSync(socket(name)));
  return execFileSync('virsh', ['-q', '-c', `qemu:///system?socket=${socket(host)}`, ...args], { encoding: 'utf8' }).trim();
}
