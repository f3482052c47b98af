import type { FileHandle } from 'node:fs/promises';

/** A file system of the ext family on a disk. */
export interface ExtPartition {
  /** As in sda1; 0 for a disk without partitions. */
  readonly number: number;
  /** Byte at which it begins. */
  readonly offset: number;
  /** The file system's label, or else the partition's name; may be empty. */
  readonly label: string;
  /** Of the file system, lower case, as /etc/fstab names it. */
  readonly uuid: string;
  /** It was not unmounted: the last changes are in its journal only. */
  readonly needsRecovery: boolean;
}

const SECTOR = 512;
const MAX_ENTRIES = 256;

/** The ext2, ext3 and ext4 file systems of a disk, in order: of an MBR's four partitions, of a GPT, or the disk itself. */
export async function extPartitions(disk: FileHandle): Promise<readonly ExtPartition[]> {
  const found: ExtPartition[] = [];
  for (const { number, offset, name } of await partitions(disk)) {
    const block = await readAt(disk, offset + 1024, 264);
    // s_magic, s_uuid, s_volume_name, s_feature_incompat
    if (block.length < 264 || block.readUInt16LE(56) !== 0xef53) continue;
    const label = block.subarray(120, 136).toString('utf8').replace(/\0.*$/s, '');
    const needsRecovery = (block.readUInt32LE(96) & 4) !== 0;
    found.push({ number, offset, label: label === '' ? name : label, uuid: uuidOf(block.subarray(104, 120)), needsRecovery });
  }
  return found;
}

function uuidOf(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

interface Partition {
  readonly number: number;
  readonly offset: number;
  readonly name: string;
}

async function partitions(disk: FileHandle): Promise<readonly Partition[]> {
  const whole: Partition = { number: 0, offset: 0, name: '' };
  const mbr = await readAt(disk, 0, SECTOR);
  if (mbr.length < SECTOR || mbr.readUInt16LE(510) !== 0xaa55) return [whole];
  const entries = [0, 1, 2, 3].map((index) => ({
    number: index + 1,
    type: mbr[446 + index * 16 + 4] ?? 0,
    offset: mbr.readUInt32LE(446 + index * 16 + 8) * SECTOR,
    name: '',
  }));
  if (entries.some(({ type }) => type === 0xee)) return await gptPartitions(disk);
  return [whole, ...entries.filter(({ type }) => type !== 0)];
}

async function gptPartitions(disk: FileHandle): Promise<readonly Partition[]> {
  const header = await readAt(disk, SECTOR, SECTOR);
  if (header.length < SECTOR || header.subarray(0, 8).toString('latin1') !== 'EFI PART') return [];
  const [at, count, size] = [Number(header.readBigUInt64LE(72)) * SECTOR, header.readUInt32LE(80), header.readUInt32LE(84)];
  if (count > MAX_ENTRIES || size < 128 || size > 4096) return [];
  const table = await readAt(disk, at, count * size);
  const found: Partition[] = [];
  for (let index = 0; (index + 1) * size <= table.length; index++) {
    const entry = table.subarray(index * size, (index + 1) * size);
    if (entry.subarray(0, 16).every((byte) => byte === 0)) continue;
    const name = entry.subarray(56, 128).toString('utf16le').replace(/\0.*$/s, '');
    found.push({ number: index + 1, offset: Number(entry.readBigUInt64LE(32)) * SECTOR, name });
  }
  return found;
}

async function readAt(disk: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await disk.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}
