import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Sample } from '../../src-shared/contract.ts';

/** The sample environments of `resources/samples`, as listed in its `samples.json` (paths relative to it). */
export async function readSamples(resourcesDir: string): Promise<readonly Sample[]> {
  const folder = join(resourcesDir, 'samples');
  const listed = z.array(Sample).parse(JSON.parse(await readFile(join(folder, 'samples.json'), 'utf8')));
  return listed.map((sample) => ({ ...sample, path: join(folder, sample.path) }));
}
