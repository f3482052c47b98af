import { readdirSync, readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { formatBytes } from '../../../src-shared/bytes.ts';
import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import type { Host } from '../host/host.ts';
import { domainName, type Prefix } from '../prefix/prefix.ts';

/** For tables, device state and what the guests write meanwhile. */
const MARGIN = 32 * 1024 * 1024;

/**
 * `host.no-space` when the memory of these VMs does not fit on the disk with their images. Counts at most the resident memory of QEMU or,
 * if its process cannot be seen, the memory that the VM may use.
 */
export async function requireSpace(
  prefix: Prefix,
  vms: readonly VmSpec[],
  { free, host }: { readonly free?: number; readonly host?: Host | undefined } = {},
): Promise<void> {
  const resident = host?.kind === 'remote' ? new Map<string, number>() : residentMemory();
  const needed = vms.reduce((sum, vm) => {
    const most = vm.memory * 1024 * 1024;
    return sum + Math.min(most, resident.get(domainName(prefix.uuid, vm.name)) ?? most) + MARGIN;
  }, MARGIN);
  const there = free ?? (await freeBytes(prefix.paths.images, host));
  if (there >= needed) return;
  throw new EngineError(
    'host.no-space',
    `A snapshot may need ${formatBytes(needed)} on the file system of ${prefix.paths.images}; ${formatBytes(there)} are free.`,
    {
      details: { needed, free: there, path: prefix.paths.images },
      hint: 'Free space there, delete a snapshot, or stop the environment first: without memory a snapshot takes next to nothing.',
    },
  );
}

/** With less than this free, QEMU's "Input/output error" means a full disk, which QEMU does not report. */
const FULL = 4 * 1024 * 1024;

/** The error for a snapshot that QEMU could not write: `host.no-space` when the disk is full, else the original error. */
export async function fullDiskInstead(prefix: Prefix, vm: VmSpec, error: unknown, host?: Host): Promise<unknown> {
  if (!(error instanceof EngineError) || error.code !== 'hypervisor.failed') return error;
  const free = await freeBytes(prefix.paths.images, host);
  if (free > FULL) return error;
  const message = `The file system of ${prefix.paths.images} is full: there was no space left for the memory of VM ${vm.name}.`;
  const details = { ...error.details, free, path: prefix.paths.images };
  const hint = 'Free space there, then take it again. QEMU pauses a VM that finds no space to write to: "lago start" lets it go on.';
  return new EngineError('host.no-space', message, { cause: error, details, hint });
}

async function freeBytes(path: string, host: Host | undefined): Promise<number> {
  if (host?.kind === 'remote') {
    const { stdout } = await host.run(['stat', '--file-system', '--format', '%a %S', path]);
    const [blocks = '0', size = '0'] = stdout.trim().split(' ');
    return Number(blocks) * Number(size);
  }
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/** Domain name → resident bytes of its QEMU, for all processes that this user can see. */
function residentMemory(): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const guest = /(?:^|\0)guest=([^,\0]+)/.exec(readProcess(pid, 'cmdline'))?.[1];
    const pages = Number(readProcess(pid, 'statm').split(' ')[1]);
    if (guest !== undefined && pages > 0) found.set(guest, pages * 4096);
  }
  return found;
}

function readProcess(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    // It has ended since it was listed, or belongs to another user.
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}
