import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../core/files/json-file.ts';
import { bootId } from '../core/process-identity.ts';
import { run } from '../core/run.ts';
import { BOOT_SECTOR_EXIT, bootSector } from './boot-sector.ts';
import { findProgram, isExecutable } from './embedded/programs.ts';
import { makePrivateFolder, runtimeRoot } from './embedded/runtime-dir.ts';
import { cachedVerdict, fileIdentity } from './verdict-cache.ts';

const DEVICE = '/dev/kvm';
/** Enterprise Linux installs its only emulator outside of PATH. */
const ENTERPRISE_QEMU = '/usr/libexec/qemu-kvm';
const PROBE_SECONDS = 3;

/** Whether KVM works here, or why not. */
export type KvmState =
  | 'works'
  /** No /dev/kvm: no hardware virtualization, or its module is not loaded. */
  | 'missing'
  /** This user lacks permission to open it. */
  | 'denied'
  /** It exists, but a guest does not boot on it. */
  | 'broken'
  /** QEMU is not installed. */
  | 'no-qemu';

export interface KvmOptions {
  readonly signal?: AbortSignal | undefined;
  readonly environment?: NodeJS.ProcessEnv;
}

/** How guests run here: `auto` uses KVM only if a guest really boots on it. Other values are an explicit override. */
export async function findAccelerator(wanted: 'auto' | 'kvm' | 'tcg', options: KvmOptions = {}): Promise<'kvm' | 'tcg'> {
  if (wanted !== 'auto') return wanted;
  return (await kvmState(options)) === 'works' ? 'kvm' : 'tcg';
}

/**
 * Whether KVM works for this user, tested by booting: even if /dev/kvm opens and QEMU lists KVM, guests may not boot (a virtual machine
 * without nested virtualization). Takes 3 s at most; the result is cached for this boot, this QEMU and this device.
 */
export async function kvmState(options: KvmOptions = {}): Promise<KvmState> {
  const environment = options.environment ?? process.env;
  const qemu = findQemu(environment);
  if (qemu === undefined) return 'no-qemu';
  const access = deviceAccess();
  if (access !== 'open') return access;
  const key = [bootId(), fileIdentity(qemu), fileIdentity(DEVICE)].join(' ');
  const verdict = await cachedVerdict('kvm', key, async () => ((await bootsOn('kvm', qemu, options)) ? 'works' : 'broken'), {
    environment,
  });
  return verdict === 'works' ? 'works' : 'broken';
}

/** The x86-64 emulator: Debian's and Fedora's name, then Enterprise Linux's path. */
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
 * Boots the boot sector on two processors with the CPU model that environments use, and returns whether it completes within 3 s. No
 * network, no display, only a disk of 512 bytes.
 */
export async function bootsOn(accelerator: 'kvm' | 'tcg', qemu: string, options: KvmOptions = {}): Promise<boolean> {
  const folder = runtimeRoot(options.environment);
  makePrivateFolder(folder);
  // Always the same file, never written by the guest: killed processes leave no growing rubbish.
  const disk = join(folder, 'boot-sector.img');
  await writeFileAtomic(disk, bootSector(), 0o600);
  const result = await run(bootArguments(accelerator, qemu), { cwd: folder, signal: options.signal });
  return result.code === BOOT_SECTOR_EXIT;
}

/** The command that boots `boot-sector.img` of the working directory; it ends with `BOOT_SECTOR_EXIT` when that has worked. */
export function bootArguments(accelerator: 'kvm' | 'tcg', qemu: string): readonly string[] {
  const cpu = accelerator === 'kvm' ? 'host' : 'max';
  return [
    // Also ends a hung guest after this process is gone.
    ...['timeout', '--signal=KILL', String(PROBE_SECONDS)],
    qemu,
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-nic', 'none', '-display', 'none', '-monitor', 'none', '-serial', 'none'],
    ...['-machine', 'pc', '-accel', accelerator, '-cpu', cpu, '-smp', '2', '-m', '16'],
    ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
    ...['-drive', 'file=boot-sector.img,format=raw,if=ide,file.locking=off'],
  ];
}
