import { join } from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../../src-shared/errors.ts';
import { readJson, writeJson } from '../core/files/json-file.ts';
import { takeLock } from '../core/lock.ts';

/** An image that already exists in a repository's folder. */
export interface RepositoryEntry {
  readonly template: string;
  readonly version: string;
  /** File name in the folder, without `.xz`. */
  readonly handle: string;
  /** Seconds since the epoch. */
  readonly timestamp: number;
}

const Version = z.looseObject({ source: z.string(), handle: z.string(), timestamp: z.number().optional() });
const Repository = z.looseObject({
  name: z.string().min(1),
  sources: z.record(z.string(), z.looseObject({ type: z.string(), args: z.record(z.string(), z.unknown()).default({}) })),
  templates: z.record(z.string(), z.looseObject({ versions: z.record(z.string(), Version) })),
});
type Repository = z.infer<typeof Repository>;

/** The repository's JSON in a folder. */
export function repositoryFile(folder: string): string {
  return join(folder, 'repo.json');
}

/**
 * The repository in a folder, undefined when there is none. `input.invalid` when its JSON is not a repository, or already has this version
 * of the template.
 */
export async function readLocalRepository(
  folder: string,
  wanted: Pick<RepositoryEntry, 'template' | 'version'>,
): Promise<Repository | undefined> {
  const path = repositoryFile(folder);
  const repository = await readJson(path, Repository);
  if (repository?.templates[wanted.template]?.versions[wanted.version] !== undefined) {
    throw new EngineError(
      'input.invalid',
      `The template repository ${path} has a version ${wanted.version} of ${wanted.template} already.`,
      {
        hint: 'Choose another version.',
      },
    );
  }
  return repository;
}

/** Adds an image to the folder's repository, which is created if needed. Its other content is kept. Concurrent writers take turns. */
export async function addToRepository(folder: string, entry: RepositoryEntry, signal: AbortSignal): Promise<string> {
  const path = repositoryFile(folder);
  await using _lock = await takeLock(join(folder, '.repo.json.lock'), { signal, waitMs: 10_000, purpose: 'templates build' });
  const { template, version, handle, timestamp } = entry;
  const repository = (await readLocalRepository(folder, entry)) ?? { name: 'local', sources: {}, templates: {} };
  const source = sourceOf(repository);
  const versions = { ...repository.templates[template]?.versions, [version]: { source, handle, timestamp } };
  await writeJson(path, {
    ...repository,
    sources: { ...repository.sources, [source]: { type: 'file', args: { root: '.' } } },
    templates: { ...repository.templates, [template]: { ...repository.templates[template], versions } },
  });
  return path;
}

/** The source that represents the folder itself. */
function sourceOf(repository: Repository): string {
  const own = Object.entries(repository.sources).find(([, { type, args }]) => type === 'file' && args['root'] === '.');
  if (own !== undefined) return own[0];
  let name = 'local';
  for (let count = 2; Object.hasOwn(repository.sources, name); count++) name = `local-${count}`;
  return name;
}
