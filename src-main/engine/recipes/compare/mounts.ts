/** Where file systems are mounted, as a guest's /etc/fstab says. Pure. */

/** A file system on a partition. */
export interface MountSource {
  /** The disk, as the VM knows it: `vda`. */
  readonly dev: string;
  /** Of the partition; 0 for a disk without partitions. */
  readonly number: number;
  readonly label: string;
  readonly uuid: string;
}

/** Longer files of a guest are not /etc/fstab. */
export const MAX_FSTAB = 64 * 1024;

/**
 * The folder of each of these file systems, without a slash at its end; of one that fstab does not name, the partition and a colon:
 * `vdb1:`.
 */
export function mountPoints(fstab: string, sources: readonly MountSource[]): readonly string[] {
  const named = new Map<string, string>();
  for (const line of fstab.split('\n')) {
    const [device, folder] = line.trim().split(/\s+/);
    if (device === undefined || folder === undefined || device.startsWith('#') || !folder.startsWith('/')) continue;
    named.set(device.replaceAll('"', ''), decoded(folder).replace(/\/+$/, ''));
  }
  return sources.map((source) => {
    const found = namesOf(source).find((name) => named.has(name));
    return (found === undefined ? undefined : named.get(found)) ?? `${partition(source)}:`;
  });
}

/** `vda1`, as the kernel names it. */
function partition({ dev, number }: MountSource): string {
  return number === 0 ? dev : `${dev}${number}`;
}

function namesOf(source: MountSource): readonly string[] {
  const { uuid, label } = source;
  return [
    `UUID=${uuid}`,
    `/dev/disk/by-uuid/${uuid}`,
    `/dev/${partition(source)}`,
    ...(label === '' ? [] : [`LABEL=${label}`, `/dev/disk/by-label/${label}`]),
  ];
}

/** fstab writes a space as `\040`. */
function decoded(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
