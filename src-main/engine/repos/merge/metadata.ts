import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { linkOrCopy } from './link-file.ts';
import { runMetadataTool } from './metadata-tool.ts';

export interface MetadataOptions {
  /** The repository as it is now, whose metadata tells of packages that have not changed. */
  readonly before: string | undefined;
  /** A file for what is worth keeping until the next time. */
  readonly cache: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * Makes the metadata of the rpm packages in a folder, by createrepo_c. Packages that were there before are not read again. The metadata from
 * before stays beside the new one: a guest that has just read the old repomd.xml goes on with it. `modules` is the text of a modules.yaml.
 */
export async function makeRpmMetadata(
  folder: string,
  { before, signal, modules }: MetadataOptions & { readonly modules: string | undefined },
): Promise<void> {
  if (before !== undefined) await keepRepodata(join(before, 'repodata'), join(folder, 'repodata'));
  // Not any newer compression: yum of el7 knows no other.
  const how = ['--quiet', '--no-database', '--general-compress-type=gz', '--update', '--retain-old-md=1'];
  await runMetadataTool('createrepo_c', [...how, '.'], 'The metadata of the rpm packages could not be made.', { cwd: folder, signal });
  if (modules === undefined) return;
  const file = 'modules.yaml';
  await writeFile(join(folder, file), modules);
  const args = ['--mdtype=modules', '--compress-type=gz', file, 'repodata'];
  await runMetadataTool('modifyrepo_c', args, 'The modules of the rpm packages could not be added.', { cwd: folder, signal });
  await rm(join(folder, file));
}

/** Links the metadata that a repository has now, but not what it still keeps from before. */
async function keepRepodata(from: string, to: string): Promise<void> {
  const index = await readIfThere(join(from, 'repomd.xml'));
  if (index === undefined) return;
  const present = new Set(await readdir(from));
  const named = [...index.matchAll(/<location\s+href="repodata\/([^"/]+)"/g)].flatMap(([, name = '']) => (present.has(name) ? [name] : []));
  await mkdir(to, { recursive: true });
  for (const name of ['repomd.xml', ...named]) await linkOrCopy(join(from, name), join(to, name));
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const INDEXES = ['Packages', 'Packages.gz'];
/** Where apt looks for an index by its content, which fits the Release that it has read, also when there is a newer one by then. */
const BY_HASH = 'by-hash/SHA256';

/** Makes the indexes of the Debian packages in a folder, by apt-ftparchive, for `deb [trusted=yes] ADDRESS ./`. */
export async function makeDebMetadata(folder: string, { before, cache, signal }: MetadataOptions): Promise<void> {
  const around = { cwd: folder, signal };
  await runMetadataTool('apt-ftparchive', [`--db=${cache}`, 'packages', '.'], 'The index of the Debian packages could not be made.', {
    ...around,
    outputFile: 'Packages',
  });
  await writeFile(join(folder, 'Packages.gz'), await promisify(gzip)(await readFile(join(folder, 'Packages'))));
  const fields = { Origin: 'Lago', Label: 'Packages of this environment', 'Acquire-By-Hash': 'yes' };
  const options = Object.entries(fields).map(([name, value]) => `--option=APT::FTPArchive::Release::${name}=${value}`);
  const release = await runMetadataTool('apt-ftparchive', [...options, 'release', '.'], 'The Release file could not be made.', around);
  await mkdir(join(folder, BY_HASH), { recursive: true });
  for (const at of before === undefined ? [folder] : [folder, before]) {
    for (const name of INDEXES) await linkByHash(join(at, name), folder);
  }
  await writeFile(join(folder, 'Release'), release.stdout);
}

async function linkByHash(path: string, folder: string): Promise<void> {
  const content = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (content === undefined) return;
  const hash = createHash('sha256').update(content).digest('hex');
  const present = new Set(await readdir(join(folder, BY_HASH)));
  if (!present.has(hash)) await linkOrCopy(path, join(folder, BY_HASH, hash));
}
