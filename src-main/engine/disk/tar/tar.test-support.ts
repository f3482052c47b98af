/** One member of a test archive, possibly malformed. */
export interface Member {
  readonly name: string;
  readonly content?: Buffer | string;
  /** The type byte; default: a regular file. */
  readonly type?: string;
  /** The size that the header claims, in octal unless `binarySize`. */
  readonly size?: number;
  readonly binarySize?: boolean;
  readonly prefix?: string;
  readonly checksum?: number;
}

/** One member: header, content, padding. */
export function tarMember(member: Member): Buffer {
  const content = Buffer.from(member.content ?? '');
  const size = member.size ?? content.length;
  const header = Buffer.alloc(512);
  header.write(member.name, 0, 100, 'utf8');
  header.write('0000644\0', 100);
  if (member.binarySize === true) {
    header.writeUInt8(0x80, 124);
    header.writeBigUInt64BE(BigInt(size), 128);
  } else header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  header.write('        ', 148);
  header.write(member.type ?? '0', 156, 1, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  header.write(member.prefix ?? '', 345, 155, 'utf8');
  const sum = member.checksum ?? header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

/** A whole archive. */
export function tarOf(...members: readonly Member[]): Buffer {
  return Buffer.concat([...members.map(tarMember), Buffer.alloc(1024)]);
}

/** A pax header for the member that follows. */
export function paxOf(records: Readonly<Record<string, string>>): Member {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length += 1;
    return `${length}${rest}`;
  });
  return { name: 'PaxHeaders/x', type: 'x', content: lines.join('') };
}
