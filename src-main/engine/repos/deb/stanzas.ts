import { EngineError } from '../../../../src-shared/errors.ts';

/** One paragraph of a control file. */
export interface Stanza {
  /** Field in lower case → value, further lines with their leading space. */
  readonly fields: ReadonlyMap<string, string>;
  /** As it is in the file, with a line break at its end. */
  readonly text: string;
}

/** A paragraph of real archives has at most some 100 KB. */
const MAX_STANZA = 4 * 1024 * 1024;

/**
 * Reads paragraphs one after the other, whatever the size of the file. `what` is the file, for messages. `remote.invalid` for content that
 * is no control file.
 */
export async function* readStanzas(content: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Stanza> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of content) {
    rest += decoder.decode(chunk, { stream: true });
    let from = 0;
    for (let end = rest.indexOf('\n\n'); end !== -1; end = rest.indexOf('\n\n', from)) {
      const stanza = readStanza(rest.slice(from, end + 1), what);
      if (stanza !== undefined) yield stanza;
      from = end + 2;
    }
    rest = rest.slice(from);
    if (rest.length > MAX_STANZA) throw damaged(what, 'one of its paragraphs is too long');
  }
  const last = readStanza(`${rest}${decoder.decode()}\n`.replace(/\n+$/, '\n'), what);
  if (last !== undefined) yield last;
}

/** The fields of one paragraph; undefined for one without any. */
export function readStanza(text: string, what: string): Stanza | undefined {
  const fields = new Map<string, string>();
  let field: string | undefined;
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    if (/^[ \t]/.test(line)) {
      if (field === undefined) throw damaged(what, 'it begins in the middle of a field');
      fields.set(field, `${fields.get(field) ?? ''}\n${line}`);
      continue;
    }
    const colon = line.indexOf(':');
    if (colon < 1) throw damaged(what, `${JSON.stringify(line.slice(0, 60))} is no field`);
    field = line.slice(0, colon).toLowerCase();
    fields.set(field, line.slice(colon + 1).trim());
  }
  return fields.size === 0 ? undefined : { fields, text: text.replace(/^\n+/, '') };
}

function damaged(what: string, why: string): EngineError {
  return new EngineError('remote.invalid', `${what} is damaged: ${why}.`);
}
