import { existsSync, readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { HostCheck } from '../../../src-shared/state.ts';
import { findProgram } from './embedded/programs.ts';
import { kvmState } from './kvm.ts';
import { checkNamespaces, checkPrograms, checkTun, currentFamily, remedyFor } from './requirements.ts';

export interface CheckOptions {
  readonly resourcesDir: string;
  /** A folder on the file system that environments will fill. Default: the home folder. */
  readonly workdir?: string;
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
}

const GIB = 1024 ** 3;
const SCRIPTS = ['cell.sh', 'host.sh', 'relay.cjs'];

/**
 * Checks everything that environments need from this machine, with a remedy for each problem. Changes nothing and starts no host. The first
 * call after a boot may take 3 s, for the KVM test.
 */
export async function checkMachine(options: CheckOptions): Promise<HostCheck[]> {
  const environment = options.environment ?? process.env;
  const [namespaces, kvm, disk] = await Promise.all([
    checkNamespaces({ environment, signal: options.signal }),
    checkKvm({ environment, signal: options.signal }),
    checkDisk(options.workdir ?? homedir()),
  ]);
  return [
    ...checkPrograms({ environment }),
    namespaces,
    checkTun(),
    kvm,
    checkUplink(environment),
    checkMemory(),
    disk,
    checkScripts(options.resourcesDir),
  ];
}

async function checkKvm(options: {
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal | undefined;
}): Promise<HostCheck> {
  const base = { id: 'kvm', title: 'Hardware virtualization' };
  const slow = 'VMs run in software, about ten times slower';
  switch (await kvmState(options)) {
    case 'works':
      return { ...base, state: 'ok', detail: 'KVM works: a test guest booted on it.', remedy: null, command: null };
    case 'missing':
      return {
        ...base,
        state: 'warning',
        detail: `There is no /dev/kvm: ${slow}.`,
        remedy:
          'Turn virtualization on in the machine’s firmware (or nested virtualization, when this is a VM), or load the kernel module.',
        command: 'sudo modprobe kvm_intel || sudo modprobe kvm_amd',
      };
    case 'denied':
      return {
        ...base,
        state: 'warning',
        detail: `/dev/kvm cannot be opened by this user: ${slow}.`,
        remedy: 'Join the group kvm and log in again.',
        command: `sudo usermod -aG kvm ${options.environment['USER'] ?? '$USER'}`,
      };
    case 'broken':
      return {
        ...base,
        state: 'warning',
        detail: `/dev/kvm is there, but a test guest does not boot on it: ${slow}.`,
        remedy: 'When this machine is a VM itself, turn nested virtualization on outside.',
        command: null,
      };
    case 'no-qemu':
      return { ...base, state: 'warning', detail: 'Not tried: QEMU is not installed.', remedy: null, command: null };
  }
}

function checkUplink(environment: NodeJS.ProcessEnv): HostCheck {
  const base = { id: 'uplink', title: 'Way out for VMs' };
  const found = ['pasta', 'slirp4netns'].find((name) => findProgram(name, environment) !== undefined);
  if (found !== undefined)
    return { ...base, state: 'ok', detail: `VMs can reach the outside through ${found}.`, remedy: null, command: null };
  return {
    ...base,
    state: 'warning',
    detail: 'Neither pasta nor slirp4netns is installed: VMs reach each other, but nothing outside.',
    ...remedyFor(currentFamily(), { debian: 'passt', fedora: 'passt', suse: 'passt', arch: 'passt' }),
  };
}

function checkMemory(): HostCheck {
  const text = readFileSync('/proc/meminfo', 'utf8');
  const available = Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
  const base = { id: 'memory', title: 'Memory', detail: `${(available / GIB).toFixed(1)} GiB of memory are free.` };
  if (available >= 2 * GIB) return { ...base, state: 'ok', remedy: null, command: null };
  return { ...base, state: 'warning', remedy: 'Close other programs, or give the VMs less memory in the init file.', command: null };
}

async function checkDisk(folder: string): Promise<HostCheck> {
  // It may not exist yet: its nearest existing parent is on the same file system.
  let existing = folder;
  while (!existsSync(existing)) existing = join(existing, '..');
  const { bavail, bsize } = await statfs(existing);
  const base = { id: 'disk', title: 'Disk', detail: `${((bavail * bsize) / GIB).toFixed(1)} GiB are free in ${folder}.` };
  if (bavail * bsize >= 5 * GIB) return { ...base, state: 'ok', remedy: null, command: null };
  return { ...base, state: 'warning', remedy: 'Free some space: an environment takes a few GiB as it grows.', command: null };
}

function checkScripts(resourcesDir: string): HostCheck {
  const base = { id: 'scripts', title: 'Program files' };
  const missing = SCRIPTS.filter((name) => !existsSync(join(resourcesDir, 'host', name)));
  if (missing.length === 0) return { ...base, state: 'ok', detail: 'The start scripts are there.', remedy: null, command: null };
  return {
    ...base,
    state: 'error',
    detail: `Missing in ${resourcesDir}/host: ${missing.join(', ')}.`,
    remedy: 'Install Lago Desktop again.',
    command: null,
  };
}
