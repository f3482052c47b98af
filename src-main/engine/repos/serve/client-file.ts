import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from '../../core/files/json-file.ts';

/** A repository below a served folder. */
export interface ServedRepo {
  /** Its folder: the name of a distribution; empty for the served folder itself. */
  readonly distro: string;
  readonly kind: 'rpm' | 'deb';
  /** It has streams of modules, among which dnf chooses. */
  readonly modular?: true;
}

/** A file that makes a guest use a repository. */
export interface ClientFile {
  readonly path: string;
  readonly content: string;
}

const MARKS = [
  { kind: 'rpm', mark: 'repodata/repomd.xml' },
  { kind: 'deb', mark: 'Packages.gz' },
  { kind: 'deb', mark: 'Packages' },
] as const;

/** The repositories in a folder: those of its subfolders, and itself when it is one. */
export async function servedRepos(folder: string): Promise<readonly ServedRepo[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw diskError(error, folder);
  });
  const places = ['', ...names.filter((name) => !name.startsWith('.')).sort()];
  const found = await Promise.all(places.map(async (distro) => await kindsOf(join(folder, distro), distro)));
  return found.flat();
}

async function kindsOf(folder: string, distro: string): Promise<readonly ServedRepo[]> {
  const kinds = new Set<ServedRepo['kind']>();
  for (const { kind, mark } of MARKS) {
    const there = await access(join(folder, mark)).then(
      () => true,
      () => false,
    );
    if (there) kinds.add(kind);
  }
  const modular = kinds.has('rpm') && (await hasModules(join(folder, 'repodata/repomd.xml')));
  return [...kinds].map((kind) => ({ distro, kind, ...(modular && kind === 'rpm' ? { modular } : {}) }));
}

async function hasModules(index: string): Promise<boolean> {
  return /<data\s+type=["']modules["']/.test(await readFile(index, 'utf8'));
}

/** Paths in guests, of which one exists: also for taking them away. */
export const CLIENT_PATHS: Readonly<Record<ServedRepo['kind'], string>> = {
  rpm: '/etc/yum.repos.d/lago-packages.repo',
  deb: '/etc/apt/sources.list.d/lago-packages.list',
};

/** Where the repository of a distribution is, below `url`, which ends in `/`. */
export function repoAddress(url: string, distro: string): string {
  return distro === '' ? url : `${url}${encodeURIComponent(distro)}`;
}

/**
 * What yum, dnf or apt of a guest needs to use a repository below `url` (which ends in `/`). Its packages are not signed. dnf fails while the
 * repository cannot be reached, rather than install other packages in silence, unless it is `optional`.
 */
export function clientFile(
  url: string,
  { distro, kind, modular }: ServedRepo,
  { optional = false }: { readonly optional?: boolean } = {},
): ClientFile {
  const address = repoAddress(url, distro);
  const path = CLIENT_PATHS[kind];
  if (kind === 'deb') return { path, content: `deb [trusted=yes] ${address} ./\n` };
  // Cheaper than any other repository, and refreshed at each use: packages are merged again and again.
  const options = ['name=Packages of this environment', `baseurl=${address}`, 'enabled=1', 'gpgcheck=0', 'cost=1', 'metadata_expire=1'];
  // Packages outside of modules would be hidden by modules of the distribution; those of streams would all be offered at once.
  if (modular !== true) options.push('module_hotfixes=1');
  if (optional) options.push('skip_if_unavailable=1');
  return { path, content: ['[lago-packages]', ...options, ''].join('\n') };
}
