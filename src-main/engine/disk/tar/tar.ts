import { EngineError } from '../../../../src-shared/errors.ts';
import { readMembers } from './tar-members.ts';

/** One file or folder of an archive. */
export interface TarEntry {
  /** Relative, `/` between its parts, none of which is empty, `.` or `..`. */
  readonly name: string;
  readonly type: 'file' | 'folder';
  /** Bytes. */
  readonly size: number;
  /** The bytes, in order. Unread ones are skipped when the next entry is requested. */
  readonly content: AsyncIterable<Buffer>;
}

const MAX_ENTRIES = 10_000;
/** 64 TiB: more than any disk in an archive. */
const MAX_SIZE = 2 ** 46;
const MAX_NAME = 1024;

const KINDS: Readonly<Record<string, string>> = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a character device',
  '4': 'a block device',
  '6': 'a named pipe',
  S: 'a sparse file of GNU tar',
};

/**
 * Reads a tar archive (v7, ustar, pax, GNU long names) as a stream, in constant memory. Meant for untrusted archives: links, devices,
 * sparse members, absolute names or ones with `..`, impossible sizes and more than 10,000 members are refused with a sentence
 * (`remote.invalid`); `what` is its subject, "The OVA http://...". Reading throws the input's errors.
 */
export async function* readTar(input: AsyncIterable<Buffer>, what: string): AsyncGenerator<TarEntry> {
  for await (const member of readMembers(input, MAX_ENTRIES, (why) => refuse(what, why))) {
    const { name: given, type: byte, size, content } = member;
    const shown = JSON.stringify(given.slice(0, 200));
    const kind = KINDS[byte];
    if (kind !== undefined) throw refuse(what, `its member ${shown} is ${kind}`);
    if (!['0', '\0', '5', '7'].includes(byte)) throw refuse(what, `its member ${shown} is of the unknown kind ${JSON.stringify(byte)}`);
    const type = byte === '5' || (byte !== '7' && given.endsWith('/')) ? 'folder' : 'file';
    if (size > MAX_SIZE) throw refuse(what, `its member ${shown} claims to have ${size} bytes`);
    const name = safeName(given, what);
    if (name !== '') yield { name, type, size, content };
  }
}

function refuse(what: string, why: string): EngineError {
  return new EngineError('remote.invalid', `${what} cannot be unpacked: ${why}.`, {
    hint: 'Nothing of it was used. Ask its maker for a plain OVA file.',
  });
}

/** The name without `./` and a trailing `/`; empty for the archive's own folder. */
function safeName(name: string, what: string): string {
  const shown = JSON.stringify(name.slice(0, 200));
  if (name.startsWith('/')) throw refuse(what, `its member ${shown} has an absolute path`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  if (name.length > MAX_NAME || /[\u0000-\u001f\u007f\ufffd\\]/.test(name))
    throw refuse(what, `its member ${shown} has a name that no file should have`);
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refuse(what, `its member ${shown} leads out of it`);
  if (parts.some((part) => Buffer.byteLength(part) > 255)) throw refuse(what, `its member ${shown} has a name that no file should have`);
  return parts.join('/');
}
