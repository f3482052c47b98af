import type { Issue } from '../../../../src-shared/issue.ts';
import { readDeb822, readDebLines } from './deb-entries.ts';
import { debSections } from './deb-sections.ts';
import { FileIssues, WHOLE_FILE } from './file-issues.ts';
import { readRpmSections } from './rpm-sections.ts';
import type { RepoSection } from './section.ts';
import type { RepoVariables } from './variables.ts';

/** What a file of package repositories defines, and what is wrong with it. */
export interface RepoFile {
  /** In the order of the file; without those that have no usable id or address. */
  readonly sections: readonly RepoSection[];
  readonly issues: readonly Issue[];
}

type Style = 'repo' | 'list' | 'sources';

/** Reads the text of a .repo file or of apt sources; pure. Never throws for any text. */
export function parseRepoFile(text: string, file: string, variables: RepoVariables): RepoFile {
  const issues = new FileIssues(file);
  const sections = parse(text, file, variables, issues);
  return { sections, issues: issues.all };
}

function parse(given: string, file: string, variables: RepoVariables, issues: FileIssues): readonly RepoSection[] {
  if (given.includes('\0')) {
    issues.error(WHOLE_FILE, '', 'This is not a text file.', 'Give a .repo file of dnf, or a .list or .sources file of apt.');
    return [];
  }
  const text = given.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
  reportOtherEncodings(text, issues);
  const style = styleOf(text, file);
  if (style === 'repo') return readRpmSections(text, variables, issues);
  const entries = style === 'list' ? readDebLines(text, issues) : readDeb822(text, issues);
  if (entries.length === 0 && issues.all.length === 0)
    issues.error(WHOLE_FILE, '', 'The file has no source.', 'Write deb URI SUITE COMPONENT, or a stanza with Types: deb.');
  return debSections(entries, issues);
}

/** What is no UTF-8 has become U+FFFD when the file was read; in comments it does no harm. */
function reportOtherEncodings(text: string, issues: FileIssues): void {
  if (!text.includes('\uFFFD')) return;
  for (const [index, line] of text.split('\n').entries()) {
    const column = line.indexOf('\uFFFD') + 1;
    if (column > 0 && !/^\s*[#;]/.test(line)) {
      issues.warning({ line: index + 1, column }, '', 'A character here is not UTF-8 and cannot be read.', 'Save the file as UTF-8.');
    }
  }
}

/** By its first line that says something; where that says nothing, by the end of its name. */
function styleOf(text: string, file: string): Style {
  const first = /^(?![ \t]*(?:[#;]|$)).*\S.*$/m.exec(text)?.[0].trim() ?? '';
  if (first.startsWith('[')) return 'repo';
  if (/^deb(?:-src)?(?:\s|$)/.test(first)) return 'list';
  if (file.endsWith('.repo')) return 'repo';
  if (/^[A-Za-z][A-Za-z-]*:(?!\/)/.test(first)) return 'sources';
  return file.endsWith('.list') ? 'list' : file.endsWith('.sources') ? 'sources' : 'repo';
}
