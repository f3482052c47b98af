import { existsSync } from 'node:fs';
import { writeJson } from '../../core/files/json-file.ts';
import type { Step } from '../../core/operation.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import type { HostSession } from '../../runtime/session.ts';
import { inPrefix, writableDisks } from './layer-files.ts';
import { runningDiskFiles } from './running-disks.ts';

/**
 * Lets definitions name the files that running VMs write to, where another program (virsh) has put a disk on another file: otherwise a stop
 * would lose what was written there, and a snapshot would be put on the wrong file. The lock must be held, and nothing be pending. Returns
 * whether there was anything to do.
 */
export async function adoptDisks(session: HostSession, prefix: Prefix, { log, signal }: Pick<Step, 'log' | 'signal'>): Promise<boolean> {
  let adopted = false;
  for (const vm of prefix.specs.vms) {
    const inUse = await runningDiskFiles(session, prefix, vm, signal);
    if (inUse === undefined) continue;
    const writable = new Set(writableDisks(vm));
    const disks = vm.disks.map((disk) => {
      const file = inUse.get(disk.dev);
      const named = expandPrefixPath(disk.path, prefix.paths.root);
      if (!writable.has(disk) || file === undefined || file.path === named) return disk;
      const what = `Disk ${disk.dev} of VM ${vm.name} is ${file.path} instead of ${named}, by another program`;
      if ((file.format !== 'qcow2' && file.format !== 'raw') || !existsSync(file.path)) {
        log.warn(`${what}: that file cannot be taken over. What is written to it is lost when the VM stops.`);
        return disk;
      }
      log.warn(`${what}: its definition now says so.`);
      return { ...disk, path: inPrefix(prefix, file.path), format: file.format };
    });
    if (disks.every((disk, index) => disk === vm.disks[index])) continue;
    await writeJson(prefix.paths.vm(vm.name), { ...vm, disks });
    adopted = true;
  }
  return adopted;
}
