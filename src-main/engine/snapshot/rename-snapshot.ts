import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError, writeJson } from '../core/files/json-file.ts';
import type { Step } from '../core/operation.ts';
import { beginWork } from '../prefix/journal.ts';
import { type Prefix, readSpecs } from '../prefix/prefix.ts';
import type { PrefixRecord } from '../prefix/record.ts';

/**
 * Gives a snapshot of layers in a prefix opened for change another name, which no other one has. An interrupted renaming stays pending,
 * and is finished by renaming again.
 */
export async function renameSnapshot(prefix: Prefix, from: string, to: string, step: Step): Promise<void> {
  const journal = await beginWork(
    prefix,
    { kind: 'edit-snapshot', name: from, to, step: 'renaming', vms: [], running: [], hostWasUp: true },
    { log: step.log },
  );
  await step.step('Move its files', async () => await moveFolder(join(prefix.paths.snapshots, from), join(prefix.paths.snapshots, to)));
  await step.step('Rename it in definitions', async () => {
    const { vms } = await readSpecs(prefix.paths);
    for (const vm of vms) {
      if (vm.snapshots[from] !== undefined)
        await writeJson(prefix.paths.vm(vm.name), { ...vm, snapshots: withKey(vm.snapshots, from, to) });
    }
  });
  await step.step('Rename it in the record', async () => await journal.settle((record) => renamed(record, from, to)));
}

async function moveFolder(from: string, to: string): Promise<void> {
  if (!existsSync(from)) return;
  // What may be there belongs to no snapshot.
  await rm(to, { recursive: true, force: true });
  await rename(from, to).catch((error: unknown) => {
    throw diskError(error, to);
  });
}

/** The same with another key in the place of `from`. */
function withKey<T>(entries: Readonly<Record<string, T>>, from: string, to: string): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).map(([key, value]) => [key === from ? to : key, value]));
}

function renamed(record: PrefixRecord, from: string, to: string): PrefixRecord {
  return {
    ...record,
    snapshots: record.snapshots.map((snapshot) => ({
      ...snapshot,
      name: snapshot.name === from ? to : snapshot.name,
      parent: snapshot.parent === from ? to : snapshot.parent,
    })),
    current: record.current === from ? to : record.current,
  };
}
