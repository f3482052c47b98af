import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { runChecked } from '../core/run.ts';
import { libvirtError } from './hypervisor-faults.fake.ts';

/** What QEMU does to the files of disks; in the fake with qemu-img, at once. */

const OPERATION_FAILED = 9;
const HEADER = 24;

/** The file below a qcow2 file, absolute; undefined for one that stands alone or is raw. Quicker than qemu-img. */
export function backingOf(path: string): string | undefined {
  const file = openSync(path, 'r');
  try {
    const header = Buffer.alloc(HEADER);
    if (readSync(file, header, 0, HEADER, 0) < HEADER || header.toString('latin1', 0, 4) !== 'QFI\xfb') return undefined;
    const name = Buffer.alloc(header.readUInt32BE(16));
    if (name.length === 0) return undefined;
    readSync(file, name, 0, name.length, Number(header.readBigUInt64BE(8)));
    return resolve(dirname(path), name.toString('utf8'));
  } finally {
    closeSync(file);
  }
}

/** The file and all below it, top first. Fails as QEMU does when one is not there. */
export function chainOf(path: string): readonly string[] {
  const chain: string[] = [];
  for (let at: string | undefined = path; at !== undefined; at = backingOf(at)) {
    if (!existsSync(at)) throw libvirtError(`Could not open '${at}': No such file or directory`, OPERATION_FAILED);
    chain.push(at);
  }
  return chain;
}

/** Copies into `top` what lies below it, down to `base`, on which it is then; without a base it stands alone. */
export async function pullInto(top: string, how: { readonly base?: string; readonly relative?: boolean }): Promise<void> {
  const below = chainOf(top);
  if (how.base !== undefined && !below.includes(how.base)) throw libvirtError(`no file ${how.base} below ${top}`, OPERATION_FAILED);
  const base = how.base === undefined ? ['-b', ''] : ['-F', formatOf(how.base), '-b', nameOf(top, how.base, how.relative)];
  await runChecked(['qemu-img', 'rebase', '-f', 'qcow2', ...base, top], `${top} could not be pulled into.`);
}

/** Writes the layer `from`, which is below `top`, into the file `base` below it; what was on the layer is on that file then. */
export async function commitBelow(top: string, how: { from: string; base: string; relative?: boolean | undefined }): Promise<void> {
  const { from, base } = how;
  const chain = chainOf(top);
  const [above] = chain.slice(chain.indexOf(from) - 1);
  if (!chain.includes(from) || above === undefined || backingOf(from) !== base)
    throw libvirtError(`${from} is not between ${top} and ${base}`, OPERATION_FAILED);
  await runChecked(['qemu-img', 'commit', '-q', '-d', '-f', 'qcow2', from], `${from} could not be committed.`);
  await runChecked(
    ['qemu-img', 'rebase', '-u', '-f', 'qcow2', '-F', formatOf(base), '-b', nameOf(above, base, how.relative), above],
    `${above} could not be put on ${base}.`,
  );
}

function formatOf(path: string): string {
  return path.endsWith('.qcow2') ? 'qcow2' : 'raw';
}

function nameOf(layer: string, path: string, beside: boolean | undefined): string {
  return beside === true ? relative(dirname(layer), path) : path;
}
