import { readOrdinaryText } from '../../core/ordinary-text.ts';
import { parseRepoFile, type RepoFile } from './parse.ts';
import type { RepoVariables } from './variables.ts';

const KIND = {
  what: 'a repository file',
  maxBytes: 1024 * 1024,
  hint: 'Give the path of a .repo file of dnf or yum, or of a .list or .sources file of apt.',
};

/**
 * Reads a file of package repositories. What is wrong in it are issues; `input.missing-file`, `input.invalid` and `host.denied` as in
 * `readOrdinaryText`, for files of at most 1 MiB.
 */
export async function readRepoFile(path: string, variables: RepoVariables): Promise<RepoFile> {
  return parseRepoFile(await readOrdinaryText(path, KIND), path, variables);
}
