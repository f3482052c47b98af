import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initFileJsonSchema, initFileReference } from '../src-shared/init-file/reference.ts';

/** Writes docs/init-file.md and resources/init-file.schema.json from the schema. */
const docs = join(import.meta.dirname, '../docs');
writeFileSync(join(docs, 'init-file.md'), initFileReference());
writeFileSync(join(import.meta.dirname, '../resources/init-file.schema.json'), `${JSON.stringify(initFileJsonSchema(), null, 2)}\n`);
