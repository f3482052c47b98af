import { EngineError } from '../../../../src-shared/errors.ts';
import { chunkParts } from '../packages/chunk-parts.ts';

/** A piece of primary, filelists or other metadata: one `<package>` element, or what is between, before and after them. */
export interface Piece {
  readonly isPackage: boolean;
  readonly bytes: Buffer;
}

const OPEN = Buffer.from('<package ');
const CLOSE = Buffer.from('</package>');
/** Far above any real package. */
const MAX_PACKAGE = 64 * 1024 * 1024;

/**
 * Cuts metadata into its packages as it arrives, all bytes in order, so that memory does not depend on its length. `remote.invalid` for a
 * package that does not end.
 */
export async function* packageElements(content: AsyncIterable<Buffer>, what: string): AsyncGenerator<Piece> {
  let rest: Buffer = Buffer.alloc(0);
  let isPackage = false;
  let searched = 0;
  for await (const chunk of content) {
    for (const part of chunkParts(chunk, rest.length > 0, CLOSE)) {
      const bytes = rest.length === 0 ? part : Buffer.concat([rest, part]);
      let start = 0;
      for (;;) {
        const mark = isPackage ? CLOSE : OPEN;
        const found = bytes.indexOf(mark, Math.max(start, searched));
        if (found < 0) break;
        const end = isPackage ? found + CLOSE.length : found;
        if (end > start) yield { isPackage, bytes: bytes.subarray(start, end) };
        start = end;
        searched = end;
        isPackage = !isPackage;
      }
      // A copy: a part of it would keep all of the chunk in memory.
      rest = Buffer.from(bytes.subarray(start));
      searched = Math.max(0, rest.length - CLOSE.length);
    }
    if (rest.length > MAX_PACKAGE) throw new EngineError('remote.invalid', `${what} has a package of more than ${MAX_PACKAGE} bytes.`);
  }
  if (isPackage) throw new EngineError('remote.invalid', `${what} ends in the middle of a package.`);
  if (rest.length > 0) yield { isPackage: false, bytes: rest };
}
