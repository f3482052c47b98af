import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../core/json-file.ts';
import { bootId } from '../core/process-identity.ts';
import { run } from '../core/run.ts';
import { BOOT_SECTOR_EXIT, bootSector } from './boot-sector.ts';
import { findProgram, isExecutable } from './embedded/programs.ts';
import { makePrivateFolder, runtimeRoot } from './embedded/runtime-dir.ts';
import { cachedVerdict, fileIdentity } from './verdict-cache.ts';

const DEVICE = '/dev/kvm';
/** Enterprise Linux keeps its only emulator out of PATH. */
const ENTERPRISE_QEMU = '/usr/libexec/qemu-kvm';
const PROBE_SECONDS = 3;

/** Why guests run on KVM here, or why not. */
export type KvmState =
  | 'works'
  /** No /dev/kvm: no hardware virtualization, or its module is not loaded. */
  | 'missing'
  /** This user may not open it. */
  | 'denied'
  /** It is there, but a guest does not boot on it. */
  | 'broken'
  /** QEMU is not installed. */
  | 'no-qemu';

export interface KvmOptions {
  readonly signal?: AbortSignal | undefined;
  readonly environment?: NodeJS.ProcessEnv;
}

/** What guests run on here: `auto` is KVM only where a guest really boots on it. Anything else is an explicit override. */
export async function findAccelerator(wanted: 'auto' | 'kvm' | 'tcg', options: KvmOptions = {}): Promise<'kvm' | 'tcg'> {
  if (wanted !== 'auto') return wanted;
  return (await kvmState(options)) === 'works' ? 'kvm' : 'tcg';
}

/**
 * Whether KVM works for this user, found by booting. /dev/kvm may open and QEMU may list it and still no guest boots (a virtual machine
 * without nested virtualization). The answer is kept for this boot, this QEMU and this device; finding it takes 3 s at most.
 */
export async function kvmState(options: KvmOptions = {}): Promise<KvmState> {
  const environment = options.environment ?? process.env;
  const qemu = findQemu(environment);
  if (qemu === undefined) return 'no-qemu';
  const access = deviceAccess();
  if (access !== 'open') return access;
  const key = [bootId(), fileIdentity(qemu), fileIdentity(DEVICE)].join(' ');
  const verdict = await cachedVerdict('kvm', key, async () => ((await bootsOn('kvm', qemu, options)) ? 'works' : 'broken'), environment);
  return verdict === 'works' ? 'works' : 'broken';
}

/** The x86-64 emulator: Debian's and Fedora's name, then Enterprise Linux's place. */
export function findQemu(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  return findProgram('qemu-system-x86_64', environment) ?? (isExecutable(ENTERPRISE_QEMU) ? ENTERPRISE_QEMU : undefined);
}

function deviceAccess(): 'open' | 'missing' | 'denied' {
  try {
    accessSync(DEVICE, constants.R_OK | constants.W_OK);
    return 'open';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return 'missing';
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return 'denied';
    throw error;
  }
}

/**
 * Boots a boot sector on two processors of the machine's own kind, which is what environments use, and sees whether it comes to its
 * end in 3 s. No network, no display, nothing but a disk of 512 bytes.
 */
export async function bootsOn(accelerator: 'kvm' | 'tcg', qemu: string, options: KvmOptions = {}): Promise<boolean> {
  const folder = runtimeRoot(options.environment);
  makePrivateFolder(folder);
  // Always the same file, never written by the guest: a process that ends in the middle leaves nothing that adds up.
  const disk = join(folder, 'boot-sector.img');
  await writeFileAtomic(disk, bootSector(), 0o600);
  const cpu = accelerator === 'kvm' ? 'host' : 'max';
  const result = await run(
    [
      // Also ends a guest that hangs when this process is gone.
      ...['timeout', '--signal=KILL', String(PROBE_SECONDS)],
      qemu,
      ...['-nodefaults', '-no-user-config', '-no-reboot', '-nic', 'none', '-display', 'none', '-monitor', 'none', '-serial', 'none'],
      ...['-machine', 'pc', '-accel', accelerator, '-cpu', cpu, '-smp', '2', '-m', '16'],
      ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
      ...['-drive', 'file=boot-sector.img,format=raw,if=ide,file.locking=off'],
    ],
    { cwd: folder, signal: options.signal },
  );
  return result.code === BOOT_SECTOR_EXIT;
}
