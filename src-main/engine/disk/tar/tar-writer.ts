/** A member to write: what precedes its content. */
export interface TarHeader {
  /** `/` between its parts. Any length, any UTF-8. */
  readonly name: string;
  readonly type: 'file' | 'folder' | 'link';
  /** Permission bits. */
  readonly mode: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** Bytes of content that follow; 0 for anything but a file. */
  readonly size?: number;
  /** Where a symbolic link points. */
  readonly target?: string;
}

const BLOCK = 512;
const TYPES = { file: '0', folder: '5', link: '2' } as const;
/** The largest number of 11 octal digits; what is larger is written in GNU's binary form. */
const MAX_OCTAL = 0o77777777777;

/**
 * The header of a member in GNU's format, which also busybox reads: pax headers, which carry long names elsewhere, it ignores. Owner and
 * group are root.
 */
export function tarHeader(header: TarHeader): Buffer {
  const { name, type, mode, mtime, size = 0, target = '' } = header;
  const path = Buffer.from(type === 'folder' && !name.endsWith('/') ? `${name}/` : name);
  const link = Buffer.from(target);
  return Buffer.concat([
    ...(link.length > 100 ? longText('K', link) : []),
    ...(path.length > 100 ? longText('L', path) : []),
    block({ path, link, type: TYPES[type], mode, mtime, size }),
  ]);
}

/** The zeros that fill up the last block of a content of this length. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** The end of an archive. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}

/** A member whose content is the name, or the link's target, of the next one. */
function longText(type: 'K' | 'L', text: Buffer): readonly Buffer[] {
  const content = Buffer.concat([text, Buffer.alloc(1)]);
  const header = block({ path: Buffer.from('././@LongLink'), link: Buffer.alloc(0), type, mode: 0o644, mtime: 0, size: content.length });
  return [header, content, tarPadding(content.length)];
}

interface Fields {
  readonly path: Buffer;
  readonly link: Buffer;
  readonly type: string;
  readonly mode: number;
  readonly mtime: number;
  readonly size: number;
}

function block({ path, link, type, mode, mtime, size }: Fields): Buffer {
  const header = Buffer.alloc(BLOCK);
  path.copy(header, 0, 0, 100);
  header.write(octal(mode & 0o7777, 7), 100, 'latin1');
  header.write(octal(0, 7), 108, 'latin1');
  header.write(octal(0, 7), 116, 'latin1');
  number(header, 124, size);
  number(header, 136, Math.max(0, Math.floor(mtime)));
  header.write('        ', 148, 'latin1');
  header.write(type, 156, 'latin1');
  link.copy(header, 157, 0, 100);
  header.write('ustar  \0', 257, 'latin1');
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, '0')}\0`;
}

function number(header: Buffer, at: number, value: number): void {
  if (value <= MAX_OCTAL) header.write(octal(value, 11), at, 'latin1');
  else {
    header.writeUInt8(0x80, at);
    header.writeBigUInt64BE(BigInt(value), at + 4);
  }
}
