import { resolve } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { Issue } from '../../../../src-shared/issue.ts';
import type { EngineSettings } from '../../configuration/settings.ts';
import { distroOf } from '../../plan/distro.ts';
import { type Prefix, readPrefix } from '../../prefix/prefix.ts';
import { type ChosenSection, chooseSections, unknownSections } from '../../repos/definition/choose.ts';
import { readRepoFile } from '../../repos/definition/read-repo-file.ts';
import type { RepoSection } from '../../repos/definition/section.ts';
import type { RepoRequest } from './repo-request.ts';

/** The sections of some files, which of them are used, and what is wrong. */
export interface ChosenRepos {
  readonly files: readonly string[];
  readonly distros: readonly string[];
  /** Of the guests; undefined when their disks do not say. */
  readonly arch: string | undefined;
  /** In the order of the files. */
  readonly sections: readonly ChosenSection[];
  readonly issues: readonly Issue[];
}

/**
 * Reads the files that are meant and chooses among their sections, for the environment at `root` or for none. `input.usage` when there is
 * no file, `input.missing-file` and others as `readRepoFile`.
 */
export async function chooseRepos(
  { settings }: { readonly settings: Pick<EngineSettings, 'reposyncConfig'> },
  root: string | undefined,
  request: RepoRequest,
): Promise<ChosenRepos> {
  const prefix = root === undefined ? undefined : await readPrefix(root);
  const own = prefix?.record?.repos;
  const { files, isOwn } = filesOf(request, own?.files, settings.reposyncConfig);
  const distros = request.distros.length > 0 ? [...new Set(request.distros)] : distrosOf(prefix);
  const selection = request.sections ?? (isOwn ? own?.sections : undefined);
  const arch = archOf(prefix);
  const read = await Promise.all(files.map(async (file) => await readRepoFile(file, { distros, arch })));
  const sections = read.flatMap((one) => one.sections);
  const { unique, issues } = withoutRepeated(sections);
  const [file = ''] = files;
  return {
    files,
    distros,
    arch,
    sections: chooseSections(unique, distros, selection),
    issues: [...read.flatMap((one) => one.issues), ...issues, ...missing(unique, selection ?? [], file)],
  };
}

/** The distributions of the environment's VMs, each once. */
export function distrosOf(prefix: Prefix | undefined): readonly string[] {
  return [...new Set(prefix?.specs.vms.flatMap((vm) => distroOf(vm) ?? []))];
}

function filesOf(
  request: RepoRequest,
  own: readonly string[] | undefined,
  configured: string | undefined,
): { readonly files: readonly string[]; readonly isOwn: boolean } {
  if (request.files.length > 0) return { files: request.files, isOwn: false };
  if (own !== undefined && own.length > 0) return { files: own, isOwn: true };
  if (configured !== undefined) return { files: [resolve(configured)], isOwn: false };
  throw new EngineError('input.usage', 'No file of package repositories was named.', {
    hint: 'Name a .repo file or a file of apt sources; or write it into the init file, as "file" under "repos"; or set reposync_config.',
  });
}

/** What the first disks say of their architecture, when they agree. */
function archOf(prefix: Prefix | undefined): string | undefined {
  const found = new Set(prefix?.specs.vms.flatMap((vm) => vm.disks[0]?.metadata['arch'] ?? []));
  const [arch] = found;
  return found.size === 1 && typeof arch === 'string' ? arch : undefined;
}

/** An id names a folder, so it can stand for one section only: the first. */
function withoutRepeated(sections: readonly RepoSection[]): { readonly unique: readonly RepoSection[]; readonly issues: readonly Issue[] } {
  const known = new Map<string, RepoSection>();
  const issues: Issue[] = [];
  for (const section of sections) {
    const before = known.get(section.id);
    if (before === undefined) known.set(section.id, section);
    else {
      const message = `The section ${section.id} is also in ${before.file}, line ${before.line}; only that one counts.`;
      const { file, line, id } = section;
      issues.push({ file, line, column: 1, path: id, severity: 'warning', message, hint: 'Give one of them another id.' });
    }
  }
  return { unique: [...known.values()], issues };
}

function missing(sections: readonly RepoSection[], selection: readonly string[], file: string): readonly Issue[] {
  return unknownSections(sections, selection).map(({ id, meant }) => ({
    file,
    line: 0,
    column: 0,
    path: '',
    severity: 'error',
    message: `There is no section ${id}.`,
    ...(meant === undefined ? {} : { hint: `Did you mean ${meant}?` }),
  }));
}
