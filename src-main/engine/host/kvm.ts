import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { run } from '../core/run.ts';
import { BOOT_SECTOR_EXIT, bootSector } from './boot-sector.ts';
import { bootId } from './process-identity.ts';
import { findProgram, isExecutable } from './programs.ts';
import { cachedVerdict, fileIdentity } from './verdict-cache.ts';

const DEVICE = '/dev/kvm';
/** Enterprise Linux keeps its only emulator out of PATH. */
const ENTERPRISE_QEMU = '/usr/libexec/qemu-kvm';
const PROBE_MS = 3000;

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
  const verdict = await cachedVerdict(
    'kvm',
    key,
    async () => ((await bootsOn('kvm', qemu, options.signal)) ? 'works' : 'broken'),
    environment,
  );
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
export async function bootsOn(accelerator: 'kvm' | 'tcg', qemu: string, signal?: AbortSignal): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'lago-boot-'));
  try {
    const disk = join(folder, 'disk.img');
    await writeFile(disk, bootSector());
    const cpu = accelerator === 'kvm' ? 'host' : 'max';
    const result = await run(
      [
        qemu,
        ...['-nodefaults', '-no-user-config', '-no-reboot', '-nic', 'none', '-display', 'none', '-monitor', 'none', '-serial', 'none'],
        ...['-machine', 'pc', '-accel', accelerator, '-cpu', cpu, '-smp', '2', '-m', '16'],
        ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
        ...['-drive', 'file=disk.img,format=raw,if=ide'],
      ],
      { cwd: folder, timeoutMs: PROBE_MS, signal },
    );
    return result.code === BOOT_SECTOR_EXIT;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'host.unavailable') return false;
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
