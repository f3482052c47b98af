import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import type { Step } from '../../core/operation.ts';
import { run } from '../../core/run.ts';
import { applianceFiles } from './appliance-guest-files.ts';
import { openExtFiles } from './ext-guest-files.ts';
import type { GuestFiles } from './guest-files.ts';
import type { Point } from './point.ts';

/** What reading needs of a step. */
export type ReadingStep = Pick<Step, 'signal' | 'log' | 'progress'>;

/** Both points of a VM, open to be read in the same way. */
export interface OpenPoints extends AsyncDisposable {
  readonly before: GuestFiles;
  readonly after: GuestFiles;
}

export interface OpenRequest {
  readonly vm: VmSpec;
  readonly from: Point;
  readonly to: Point;
  readonly accelerator: 'kvm' | 'tcg';
  /** A folder that is there. */
  readonly scratch: string;
}

/**
 * Opens the disks of two points. debugfs reads ext2, ext3 and ext4 within seconds and without rights; for anything else, or where there is
 * no FUSE, libguestfs has to be installed: `host.missing-tool`.
 */
export async function openPoints(request: OpenRequest, step: ReadingStep): Promise<OpenPoints> {
  try {
    return await byDebugfs(request, step.signal);
  } catch (error) {
    const mayFallBack = error instanceof EngineError && ['host.unavailable', 'host.missing-tool'].includes(error.code);
    if (isCancelled(error) || !mayFallBack) throw error;
    if (!(await hasLibguestfs())) throw neither(request.vm, error);
    step.log.info(`${error.message} Reading the disks of ${request.vm.name} with libguestfs.`);
    return await byLibguestfs(request, step);
  }
}

async function byDebugfs({ vm, from, to, scratch }: OpenRequest, signal: AbortSignal): Promise<OpenPoints> {
  const named = vm.metadata['root-partition'];
  const root = typeof named === 'string' ? named : undefined;
  const open = async (point: Point, name: string): Promise<GuestFiles> => {
    const folder = join(scratch, name);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: 0o700 });
    return await openExtFiles(point.disks, root, folder, signal);
  };
  const before = await open(from, 'before');
  try {
    return both(before, await open(to, 'after'));
  } catch (error) {
    await before[Symbol.asyncDispose]();
    throw error;
  }
}

async function byLibguestfs({ vm, from, to, accelerator, scratch }: OpenRequest, step: ReadingStep): Promise<OpenPoints> {
  const open = async (point: Point, name: string): Promise<GuestFiles> => {
    const folder = join(scratch, name);
    await mkdir(folder, { mode: 0o700 });
    return applianceFiles({ vm: vm.name, disks: point.disks, accelerator, scratch: folder }, step);
  };
  return both(await open(from, 'appliance-before'), await open(to, 'appliance-after'));
}

function both(before: GuestFiles, after: GuestFiles): OpenPoints {
  return {
    before,
    after,
    async [Symbol.asyncDispose]() {
      await Promise.all([before[Symbol.asyncDispose](), after[Symbol.asyncDispose]()]);
    },
  };
}

async function hasLibguestfs(): Promise<boolean> {
  try {
    await run(['virt-ls', '--version']);
    return true;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'host.missing-tool') return false;
    throw error;
  }
}

function neither(vm: VmSpec, cause: EngineError): EngineError {
  return new EngineError('host.missing-tool', `The disks of ${vm.name} cannot be read: ${cause.message}`, {
    cause,
    details: { ...cause.details },
    hint: 'Install libguestfs-tools (Debian, Ubuntu) or guestfs-tools (Fedora), which read any disk.',
  });
}
