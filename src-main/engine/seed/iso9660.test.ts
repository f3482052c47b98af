import { expect, test } from 'vitest';
import { writeIso } from './iso9660.ts';

const SECTOR = 2048;

/** Reads a Joliet image by the standard, independently of the writer: label and files. */
function readJoliet(image: Uint8Array): { label: string; files: Record<string, string> } {
  const bytes = Buffer.from(image);
  const ucs2 = (at: number, length: number): string =>
    Buffer.from(bytes.subarray(at, at + length))
      .swap16()
      .toString('utf16le');
  let at = 16 * SECTOR;
  while (bytes[at] !== 2) {
    if (bytes[at] === 255) throw new Error('no Joliet descriptor');
    at += SECTOR;
  }
  expect(bytes.toString('latin1', at + 1, at + 6)).toBe('CD001');
  expect(bytes.toString('latin1', at + 88, at + 91)).toBe('%/E');
  expect(bytes.readUInt32LE(at + 80) * SECTOR).toBe(bytes.length);
  expect(bytes.readUInt32BE(at + 84)).toBe(bytes.readUInt32LE(at + 80));
  const root = bytes.readUInt32LE(at + 156 + 2) * SECTOR;
  const length = bytes.readUInt32LE(at + 156 + 10);
  const files: Record<string, string> = {};
  for (let entry = root; entry < root + length && bytes[entry] !== 0; entry += bytes[entry] ?? 0) {
    if (((bytes[entry + 25] ?? 0) & 2) !== 0) continue;
    const start = bytes.readUInt32LE(entry + 2) * SECTOR;
    files[ucs2(entry + 33, bytes[entry + 32] ?? 0)] = bytes.toString('utf8', start, start + bytes.readUInt32LE(entry + 10));
  }
  return { label: ucs2(at + 40, 32).trim(), files };
}

test('files can be read back by name', () => {
  const files = { 'meta-data': 'a: b\n', 'user-data': 'x'.repeat(5000), empty: '', 'größe.yaml': 'ä' };
  const image = writeIso(
    'cidata',
    Object.entries(files).map(([name, content]) => ({ name, content })),
  );
  expect(readJoliet(image)).toEqual({ label: 'cidata', files });
  expect(image.length % SECTOR).toBe(0);
});

test('readers without Joliet see the label and 8.3 names', () => {
  const image = Buffer.from(
    writeIso('cidata', [
      { name: 'meta-data', content: 'm' },
      { name: 'user-data', content: 'u' },
    ]),
  );
  expect(image.toString('latin1', 32769, 32774)).toBe('CD001');
  expect(image.toString('latin1', 32808, 32814)).toBe('cidata');
  const root = image.readUInt32LE(16 * SECTOR + 156 + 2) * SECTOR;
  expect(image.toString('latin1', root, root + SECTOR)).toContain('META_D00.;1');
});

test('the same files give the same bytes', () => {
  const files = [{ name: 'meta-data', content: 'm' }];
  expect(writeIso('cidata', files)).toEqual(writeIso('cidata', files));
});

test('what does not fit is refused', () => {
  const file = { name: 'a', content: '' };
  expect(() => writeIso('this label is long', [])).toThrow(expect.objectContaining({ code: 'input.invalid' }));
  expect(() => writeIso('cidata', [{ name: 'a/b', content: '' }])).toThrow(expect.objectContaining({ code: 'input.invalid' }));
  expect(() => writeIso('cidata', [file, file])).toThrow(expect.objectContaining({ code: 'input.invalid' }));
  const many = Array.from({ length: 100 }, (_, index) => ({ name: `file-${index}`, content: '' }));
  expect(() => writeIso('cidata', many)).toThrow(expect.objectContaining({ code: 'input.invalid' }));
});
