import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Sample } from '../../src-shared/contract.ts';

/** The sample environments of `resources/samples`, as listed in its `samples.json` (paths relative to it). */
export async function readSamples(resourcesDir: string): Promise<readonly Sample[]> {
  // The contract is all that the window can ask for, and the command line needs nothing else of it.
  const { Sample: Listed } = await import('../../src-shared/contract.ts');
  const folder = join(resourcesDir, 'samples');
  const listed = z.array(Listed).parse(JSON.parse(await readFile(join(folder, 'samples.json'), 'utf8')));
  return listed.map((sample) => ({ ...sample, path: join(folder, sample.path) }));
}
