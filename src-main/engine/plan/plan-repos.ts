import { posix } from 'node:path';
import { quote } from '../../../src-shared/init-file/name-rules.ts';
import type { InitFile } from '../../../src-shared/init-file/parse.ts';
import type { PathKey } from '../../../src-shared/init-file/source.ts';
import { type EnvironmentRepos, REPO_PORT, splitSource } from '../../../src-shared/repos/package-repos.ts';
import { chooseSections, unknownSections } from '../repos/definition/choose.ts';
import { parseRepoFile } from '../repos/definition/parse.ts';
import type { RepoSection } from '../repos/definition/section.ts';
import type { IssueList, PlanContext } from './plan-context.ts';
import { askConsent, expandVariables, reportMissing, reportUnusable, resolvePath } from './plan-paths.ts';

/**
 * What the init file says of package repositories, with absolute paths, and its problems: files and sections that do not exist, and
 * which sections these VMs use. Undefined where it says nothing.
 */
export function planRepos(
  init: InitFile,
  distros: readonly string[],
  context: PlanContext,
  issues: IssueList,
): EnvironmentRepos | undefined {
  const { repos } = init;
  if (repos === undefined) return undefined;
  const given = repos.file ?? [];
  const files = given.map((file) => resolvePath(file, FILE, context, issues));
  const sources = (repos.sources ?? []).map((source, index) => planSource(source, ['repos', 'sources', index], context, issues));
  if (given.length === 0 && sources.length === 0) {
    issues.warning(['repos'], 'No package repository is named.', 'Add file: with the path of a .repo file, or sources:.');
  }
  const texts = files.map((file) => readFile(file, context, issues));
  if (texts.every((text) => text !== undefined)) {
    const read = texts.map((text, index) => ({ file: files[index] ?? '', ...parseRepoFile(text, files[index] ?? '', { distros }) }));
    for (const { file, issues: found } of read) {
      const errors = found.filter((issue) => issue.severity === 'error').length;
      const count = errors === 1 ? 'an error' : `${errors} errors`;
      if (errors > 0) issues.warning(FILE, `The repository file ${file} has ${count}.`, `“lago repo explain ${file}” says which.`);
    }
    tellSections(
      read.flatMap((one) => one.sections),
      repos.sections,
      distros,
      issues,
    );
  }
  return {
    files,
    ...(repos.sections === undefined ? {} : { sections: repos.sections.map(String) }),
    sources,
    client: repos.client ?? 'none',
    serve: repos.serve ?? false,
    port: Number(repos.port ?? REPO_PORT),
  };
}

const FILE: readonly PathKey[] = ['repos', 'file'];

function readFile(file: string, context: PlanContext, issues: IssueList): string | undefined {
  const found = context.fileInfo(file);
  const info = found?.packed === undefined ? found : undefined;
  if (info === undefined) reportMissing('The repository file', file, FILE, issues);
  else if (info.problem !== undefined) reportUnusable('The repository file', file, info.problem, FILE, issues);
  else if (info.kind !== 'file') issues.error(FILE, `${quote(file)} is not a file.`, 'Name a .repo file, or sources of apt.');
  else {
    askConsent(file, info, 'read', FILE, context, issues);
    const text = context.text(file);
    if (text === undefined || 'text' in text) return text?.text;
    issues.lacking(FILE, `The repository file ${file} cannot be used: ${text.problem}.`, 'Name a .repo file, or sources of apt.');
  }
  return undefined;
}

/** Which sections are chosen, before anything is fetched. */
function tellSections(
  sections: readonly RepoSection[],
  selection: readonly (string | number)[] | undefined,
  distros: readonly string[],
  issues: IssueList,
): void {
  const chosen = selection?.map(String);
  for (const { id, meant } of unknownSections(sections, chosen ?? [])) {
    const hint = meant === undefined ? `“lago repo explain FILE” lists the sections.` : `Did you mean ${meant}?`;
    const key = ['repos', 'sections', chosen?.indexOf(id) ?? 0];
    issues.error(key, `No file of repos has a section ${quote(id)}.`, hint);
  }
  const used = chooseSections(sections, distros, chosen).filter((section) => section.used);
  if (used.length > 0) {
    const names = used.slice(0, 10).map((one) => one.section.id);
    const more = used.length > names.length ? ` and ${used.length - names.length} more` : '';
    issues.info(FILE, `${used.length} of ${sections.length} package repositories are used: ${names.join(', ')}${more}.`);
  } else if (sections.length > 0) {
    const end = distros.length === 0 ? 'the distribution of no VM is known' : `the VMs are ${distros.join(', ')}`;
    const hint = 'End the ids of sections in “-DISTRO”, give VMs a distro, or choose sections by their ids with sections:.';
    issues.warning(FILE, `None of the ${sections.length} package repositories is used: ${end}.`, hint);
  }
}

/** A source with an absolute path. Packages of other places than the init file's own are served to guests only with consent. */
function planSource(given: string, key: readonly PathKey[], context: PlanContext, issues: IssueList): string {
  const { place, rules } = splitSource(given);
  const end = rules.map((rule) => `:${rule}`).join('');
  if (/^https?:/i.test(place)) return expandVariables(place, context) + end;
  const path = resolvePath(place.replace(/^file:\/\//i, ''), key, context, issues);
  // Of a pattern, the folder that it begins with.
  const wild = path.search(/[*?[]/);
  const base = wild === -1 ? path : posix.dirname(path.slice(0, wild + 1));
  const info = context.fileInfo(base);
  if (info === undefined) issues.info(key, `${base} does not exist yet; what is in it counts when packages are merged.`);
  const real = info?.target ?? base;
  // What is in the init file's own folder came with it.
  const belonging = context.trust.judge(info?.kind === 'folder' ? posix.join(real, 'packages') : real, 'read');
  if (belonging !== 'own') {
    const message = `${real} lies outside of the init file's folder; guests could fetch packages that are in it.`;
    issues.consent(key, real, 'read', belonging, message);
  }
  return path + end;
}
