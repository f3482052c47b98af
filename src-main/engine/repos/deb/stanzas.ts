import { EngineError } from '../../../../src-shared/errors.ts';
import { chunkParts } from '../packages/chunk-parts.ts';

/** One paragraph of a control file. */
export interface Stanza {
  /** Field in lower case → value, further lines with their leading space. */
  readonly fields: ReadonlyMap<string, string>;
  /** As it is in the file, with a line break at its end. */
  readonly bytes: Buffer;
}

/** A paragraph of real archives has at most some 100 KB. */
const MAX_STANZA = 4 * 1024 * 1024;
const BREAK = 10;
const BLANK = Buffer.from('\n\n');

/**
 * Reads paragraphs one after the other, whatever the size of the file; of their fields only the wanted ones (by default all). `what` is the
 * file, for messages. `remote.invalid` for content that is no control file.
 */
export async function* readStanzas(content: AsyncIterable<Uint8Array>, what: string, wanted?: ReadonlySet<string>): AsyncGenerator<Stanza> {
  let rest = Buffer.alloc(0);
  for await (const chunk of content) {
    for (const part of chunkParts(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength), rest.length > 0, BLANK)) {
      const bytes = rest.length === 0 ? part : Buffer.concat([rest, part]);
      let from = 0;
      for (let end = bytes.indexOf(BLANK); end !== -1; end = bytes.indexOf(BLANK, from)) {
        const stanza = readStanza(bytes.subarray(from, end + 1), what, wanted);
        if (stanza !== undefined) yield stanza;
        from = end + BLANK.length;
      }
      // A copy: a part of it would keep all of the chunk in memory.
      rest = Buffer.from(bytes.subarray(from));
    }
    if (rest.length > MAX_STANZA) throw damaged(what, 'one of its paragraphs is too long');
  }
  const last = readStanza(rest.at(-1) === BREAK ? rest : Buffer.concat([rest, Buffer.from([BREAK])]), what, wanted);
  if (last !== undefined) yield last;
}

/** The wanted fields of one paragraph; undefined for one without any field. */
export function readStanza(paragraph: Buffer, what: string, wanted?: ReadonlySet<string>): Stanza | undefined {
  let start = 0;
  while (paragraph[start] === BREAK) start += 1;
  const bytes = paragraph.subarray(start);
  const fields = new Map<string, string>();
  let field: string | undefined;
  for (let at = 0, end = 0; at < bytes.length; at = end + 1) {
    end = bytes.indexOf(BREAK, at);
    if (end === -1) end = bytes.length;
    const first = bytes[at];
    if (first === SPACE || first === TAB) {
      const line = bytes.toString('utf8', at, end);
      if (line.trim() === '') continue;
      if (field === undefined) throw damaged(what, 'it begins in the middle of a field');
      const before = fields.get(field);
      if (before !== undefined) fields.set(field, `${before}\n${line}`);
    } else if (end > at && first !== HASH) {
      const colon = bytes.indexOf(COLON, at);
      if (colon <= at || colon > end)
        throw damaged(what, `${JSON.stringify(bytes.toString('utf8', at, Math.min(end, at + 60)))} is no field`);
      field = bytes.toString('latin1', at, colon).toLowerCase();
      // Values are copies of their own: a piece of a longer string would keep all of that in memory.
      if (wanted === undefined || wanted.has(field)) fields.set(field, bytes.toString('utf8', colon + 1, end).trim());
    }
  }
  return field === undefined ? undefined : { fields, bytes };
}

const [SPACE, TAB, HASH, COLON] = [0x20, 0x09, 0x23, 0x3a];

function damaged(what: string, why: string): EngineError {
  return new EngineError('remote.invalid', `${what} is damaged: ${why}.`);
}
