import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FORMATS } from '../src-main/cli/output/formats.ts';
import { program } from '../src-main/cli/program.ts';
import { commandLineReference, configurationReference } from '../src-main/cli/reference.ts';
import { createRegistry } from '../src-main/engine/index.ts';
import { initFileJsonSchema, initFileReference } from '../src-shared/init-file/reference.ts';

/** Writes the pages of docs/ and the JSON Schema that are generated from tables in the sources. */
const root = join(import.meta.dirname, '..');
for (const [path, text] of [
  ['docs/init-file.md', initFileReference()],
  ['docs/command-line.md', commandLineReference(program('', createRegistry([], { builtIn: FORMATS })))],
  ['docs/configuration.md', configurationReference()],
  ['resources/init-file.schema.json', `${JSON.stringify(initFileJsonSchema(), null, 2)}\n`],
] as const) {
  writeFileSync(join(root, path), text);
}
