import { readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { EngineError } from '../../../src-shared/errors.ts';
import { nearest } from '../../../src-shared/nearest.ts';
import { type DownloadOptions, downloadText } from '../core/download/download.ts';
import { diskError } from '../core/files/json-file.ts';
import type { Log } from '../core/log.ts';
import type { Checksums } from '../disk/checksums.ts';
import { findVendorImage, type VendorSource } from './vendor.ts';

/** One image of a template, as announced by a repository. Plain data: nothing has been fetched. */
export interface TemplateVersion {
  readonly repository: string;
  readonly template: string;
  readonly version: string;
  /** `REPO:TEMPLATE:VERSION`: its name in the store and in the user interface. */
  readonly fullName: string;
  /** Seconds since the epoch; the newest version is the default one. */
  readonly timestamp: number;
  /** URL of the image (http, https or file) without `.xz`. */
  readonly url: string;
  /** Checksums of the uncompressed image from the repository itself (Lago has none there); verified in addition to `.hash`. */
  readonly checksums: Checksums;
  /** Checksums of the file as served; if given, no `.xz`, `.hash` or `.metadata` is looked for beside it. */
  readonly served?: Checksums;
  /** What the repository itself says about the image. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Set for an entry that means the vendor's newest image: `pinVersion` resolves it. */
  readonly vendor?: VendorSource;
}

/** A loaded repository: its catalogue, not its files. */
export interface TemplateRepository {
  readonly name: string;
  /** Path or URL it was loaded from. */
  readonly location: string;
  /** Template name → its versions, newest first. */
  readonly templates: ReadonlyMap<string, readonly TemplateVersion[]>;
}

export interface RepositoryOptions {
  readonly signal?: AbortSignal | undefined;
  readonly log?: Log | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Attempts and pauses of a download from a URL. */
  readonly download?: Pick<DownloadOptions, 'attempts' | 'backOffMs' | 'idleMs'>;
}

/** git's own files, and incomplete clones. */
const NO_REPOSITORY = /(?:^|\/)(?:\.git|\.[0-9a-f]{8}\.clone)\//;

const Hex = (length: number): z.ZodType<string> =>
  z.string().regex(new RegExp(`^[0-9a-fA-F]{${length}}$`), `expected ${length} hex digits`);
const Version = z.looseObject({
  source: z.string(),
  handle: z.string().min(1),
  timestamp: z.coerce.number().default(0),
  sha1: Hex(40).optional(),
  sha256: Hex(64).optional(),
  sha512: Hex(128).optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
});
const Repository = z.looseObject({
  name: z.string().min(1),
  sources: z.record(z.string(), z.looseObject({ type: z.string(), args: z.record(z.string(), z.unknown()).default({}) })),
  templates: z.record(z.string(), z.looseObject({ versions: z.record(z.string(), Version) })),
});

/**
 * Loads a repository's JSON (Lago's format, spec of `http` and `file` sources) from a path or a URL. A file source's `root` may hold `~`
 * and variables; a relative one is relative to the JSON's folder. Rejects with `input.missing-file` or `remote.unreachable` when it cannot
 * be read, `input.invalid` or `remote.invalid` when it is not a repository.
 */
export async function loadRepository(location: string, options: RepositoryOptions = {}): Promise<TemplateRepository> {
  const remote = /^[a-z]+:\/\//i.test(location) && !location.toLowerCase().startsWith('file:');
  const text = remote ? await loadRemote(location, options) : await loadLocal(location, options);
  const code = remote ? 'remote.invalid' : 'input.invalid';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new EngineError(code, `The template repository ${location} is not valid JSON: ${(error as Error).message}`, { cause: error });
  }
  const parsed = Repository.safeParse(value);
  if (!parsed.success) {
    const first = parsed.error.issues[0];
    throw new EngineError(
      code,
      `The template repository ${location} is invalid at ${first?.path.join('.') || 'the top level'}: ${first?.message ?? ''}`,
      {
        cause: parsed.error,
      },
    );
  }
  const { name, sources, templates } = parsed.data;
  checkName(name, location, code);
  const folder = remote ? undefined : dirname(localPath(location));
  const result = new Map<string, TemplateVersion[]>();
  for (const [template, { versions }] of Object.entries(templates)) {
    checkName(template, location, code);
    const list: TemplateVersion[] = [];
    for (const [version, entry] of Object.entries(versions)) {
      checkName(version, location, code);
      const source = sources[entry.source];
      if (source === undefined) {
        throw new EngineError(
          code,
          `The template repository ${location} has no source "${entry.source}", which ${template}:${version} names.`,
        );
      }
      const { sha1, sha256, sha512, metadata } = entry;
      const context = { location, folder, code, env: options.env ?? process.env } as const;
      list.push({
        repository: name,
        template,
        version,
        fullName: `${name}:${template}:${version}`,
        timestamp: entry.timestamp,
        url: handleUrl(source, entry.handle, context),
        ...(metadata === undefined ? {} : { metadata }),
        ...(source.type === 'vendor' ? { vendor: vendorSource(source, entry.handle, context) } : {}),
        checksums: {
          ...(sha1 === undefined ? {} : { sha1: sha1.toLowerCase() }),
          ...(sha256 === undefined ? {} : { sha256: sha256.toLowerCase() }),
          ...(sha512 === undefined ? {} : { sha512: sha512.toLowerCase() }),
        },
      });
    }
    list.sort((a, b) => b.timestamp - a.timestamp);
    result.set(template, list);
  }
  return { name, location, templates: result };
}

/**
 * Finds a template's version: the named one, or the newest. If the version is not listed but the vendor may have it, returns the moving
 * entry, for `pinVersion`. The first repository with the template wins. `template.missing` names the repository and the most similar known
 * name.
 */
export function findTemplate(
  from: TemplateRepository | readonly TemplateRepository[],
  template: string,
  version?: string,
): TemplateVersion {
  const repositories = 'templates' in from ? [from] : from;
  const [only] = repositories.length === 1 ? repositories : [];
  const where =
    only === undefined
      ? `The template repositories (${repositories.map((repository) => repository.name).join(', ')})`
      : `The template repository ${only.name} (${only.location})`;
  const have = only === undefined ? 'have' : 'has';
  const location = repositories.map((repository) => repository.location).join(', ');
  const versions = repositories.flatMap((repository) => repository.templates.get(template) ?? []);
  const [first] = versions;
  if (first === undefined) {
    const names = repositories.flatMap((repository) => [...repository.templates.keys()]);
    throw new EngineError('template.missing', `${where} ${have} no template "${template}".`, {
      details: { repository: location, template },
      hint: names.length === 0 ? 'There are no templates.' : suggest(template, names),
    });
  }
  if (version === undefined) return first;
  const found = versions.find((candidate) => candidate.version === version) ?? versions.find((candidate) => candidate.vendor !== undefined);
  if (found !== undefined) return found;
  throw new EngineError('template.missing', `${where} ${have} no version "${version}" of template "${template}".`, {
    details: { repository: location, template, version },
    hint: suggest(
      version,
      versions.map((candidate) => candidate.version),
    ),
  });
}

/** A JSON file in the repositories folder: a repository, or why it is not one. */
export type AddedRepository = { readonly location: string } & (
  | { readonly repository: TemplateRepository; readonly problem?: never }
  | { readonly problem: EngineError; readonly repository?: never }
);

/** Every `*.json` below `folder` (not in `.git`), sorted by path; empty when the folder does not exist. */
export async function readRepositories(folder: string, options: RepositoryOptions = {}): Promise<readonly AddedRepository[]> {
  let entries: readonly string[];
  try {
    entries = await readdir(folder, { recursive: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw diskError(error, folder);
    return [];
  }
  const found: AddedRepository[] = [];
  for (const entry of entries.filter((name) => name.endsWith('.json') && !NO_REPOSITORY.test(name)).sort()) {
    options.signal?.throwIfAborted();
    const location = join(folder, entry);
    try {
      found.push({ location, repository: await loadRepository(location, options) });
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      found.push({ location, problem: error });
    }
  }
  return found;
}

/**
 * The repository of that name among all `*.json` below `folder`, as Lago's `--template-repo-name`. Files that are not repositories are
 * skipped with a warning. `template.missing` lists the known names.
 */
export async function findRepositoryByName(name: string, folder: string, options: RepositoryOptions = {}): Promise<TemplateRepository> {
  const names: string[] = [];
  for (const { location, repository, problem } of await readRepositories(folder, options)) {
    if (repository?.name === name) return repository;
    if (repository === undefined) options.log?.warn(`Skipped ${location}: ${problem.message}`);
    else names.push(repository.name);
  }
  throw new EngineError('template.missing', `There is no template repository "${name}" in ${folder}.`, {
    hint: names.length === 0 ? 'There is none at all.' : suggest(name, names),
  });
}

/** The built-in repositories: the sample guest's, built in this checkout (`npm run guest`), and the one shipped with the program. */
export function builtInRepositories(resourcesDir: string): readonly string[] {
  return [resolve(resourcesDir, '../.cache/templates/repo.json'), resolve(resourcesDir, 'templates/repo.json')];
}

async function loadRemote(location: string, options: RepositoryOptions): Promise<string> {
  const text = await downloadText(location, { signal: options.signal, log: options.log, ...options.download });
  if (text !== undefined) return text;
  throw new EngineError('remote.invalid', `There is no template repository at ${location}.`, { hint: 'Check its URL.' });
}

function localPath(location: string): string {
  if (location.toLowerCase().startsWith('file://')) return new URL(location).pathname;
  return resolve(location === '~' || location.startsWith('~/') ? join(homedir(), location.slice(1)) : location);
}

async function loadLocal(location: string, options: RepositoryOptions): Promise<string> {
  const path = localPath(location);
  try {
    return await readFile(path, { encoding: 'utf8', ...(options.signal === undefined ? {} : { signal: options.signal }) });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new EngineError('input.missing-file', `There is no template repository ${path}.`, { cause: error, hint: 'Check the path.' });
    }
    throw diskError(error, path);
  }
}

/** Names become file names in the store: refuses any that could escape it or be hidden there. */
function checkName(name: string, location: string, code: 'remote.invalid' | 'input.invalid'): void {
  const bad = name.split('/').some((part) => part === '' || part === '.' || part === '..');
  if (!bad && name.length <= 200 && !/[\p{Cc}\\]/u.test(name)) return;
  throw new EngineError(code, `The template repository ${location} has an impossible name: ${JSON.stringify(name)}.`);
}

interface HandleContext {
  readonly location: string;
  readonly folder: string | undefined;
  readonly code: 'remote.invalid' | 'input.invalid';
  readonly env: Readonly<Record<string, string | undefined>>;
}

function handleUrl(
  source: { readonly type: string; readonly args: Readonly<Record<string, unknown>> },
  handle: string,
  context: HandleContext,
): string {
  const parts = handle.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..')) {
    throw new EngineError(context.code, `The template repository ${context.location} has an impossible handle: ${JSON.stringify(handle)}.`);
  }
  const argument = (name: string): string => {
    const value = source.args[name];
    if (typeof value === 'string' && value !== '') return value;
    throw new EngineError(context.code, `A source of the template repository ${context.location} has no "${name}".`);
  };
  switch (source.type) {
    case 'vendor':
    case 'http': {
      const base = argument('baseurl');
      if (!/^https?:\/\//i.test(base)) {
        throw new EngineError(context.code, `The template repository ${context.location} has a source that is no http URL: ${base}.`);
      }
      const folder = base.replace(/\/+$/, '');
      // A star is not escaped: in a vendor's handle it is a placeholder for the version.
      return `${folder}/${parts.map(encodeURIComponent).join('/')}`;
    }
    case 'file': {
      const root = expand(argument('root'), context.env);
      if (isAbsolute(root)) return pathToFileURL(join(root, ...parts)).href;
      if (context.folder === undefined) {
        throw new EngineError(context.code, `The template repository ${context.location} has a file source with a relative root: ${root}.`);
      }
      return pathToFileURL(join(context.folder, root, ...parts)).href;
    }
    default:
      throw new EngineError(context.code, `The template repository ${context.location} has a source of unknown type "${source.type}".`, {
        hint: 'There are http, file and vendor sources.',
      });
  }
}

function vendorSource(source: { readonly args: Readonly<Record<string, unknown>> }, handle: string, context: HandleContext): VendorSource {
  const url = handleUrl({ type: 'vendor', args: source.args }, handle, context);
  const { checksums } = source.args;
  if (typeof checksums !== 'string' || checksums === '' || checksums.includes('/')) {
    throw new EngineError(context.code, `A vendor source of the template repository ${context.location} has no file name in "checksums".`);
  }
  const slash = url.lastIndexOf('/');
  return { base: url.slice(0, slash), checksums, image: decodeURIComponent(url.slice(slash + 1)) };
}

/**
 * Resolves a moving entry to the vendor's current image, or to version `wanted`, as a fixed version with the vendor's checksum. Any other
 * entry is returned unchanged. See `findVendorImage` for errors.
 */
export async function pinVersion(
  template: TemplateVersion,
  wanted: string | undefined,
  options: DownloadOptions = {},
): Promise<TemplateVersion> {
  const { vendor, ...rest } = template;
  if (vendor === undefined) return template;
  const image = await findVendorImage(vendor, wanted, options);
  checkName(image.version, vendor.base, 'remote.invalid');
  return {
    ...rest,
    version: image.version,
    fullName: `${template.repository}:${template.template}:${image.version}`,
    url: image.url,
    served: { [image.algorithm]: image.hash },
  };
}

function expand(text: string, env: Readonly<Record<string, string | undefined>>): string {
  const home = text === '~' || text.startsWith('~/') ? join(env['HOME'] ?? homedir(), text.slice(1)) : text;
  return home.replace(
    /\$(?:\{(\w+)\}|(\w+))/g,
    (whole, braced: string | undefined, plain: string | undefined) => env[braced ?? plain ?? ''] ?? whole,
  );
}

function suggest(wanted: string, names: readonly string[]): string {
  const close = nearest(wanted, names);
  if (close !== undefined) return `Did you mean "${close}"?`;
  const shown = names.slice(0, 8).join(', ');
  return `There are: ${shown}${names.length > 8 ? ` and ${names.length - 8} more` : ''}.`;
}
