import { MAX_INIT_FILE } from '../../../src-shared/init-file/parse.ts';
import { readOrdinaryText } from '../core/ordinary-text.ts';

const KIND = {
  what: 'an init file',
  // A UTF-8 character has at most four bytes, so a larger file is too long in any case.
  maxBytes: MAX_INIT_FILE * 4,
  hint: 'Give the path of a LagoInitFile (JSON or YAML).',
};

/** Reads an init file or a text that belongs to one; see `readOrdinaryText` for what it refuses. */
export async function readInitFile(path: string): Promise<string> {
  return await readOrdinaryText(path, KIND);
}
