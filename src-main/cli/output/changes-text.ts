import { formatBytes } from '../../../src-shared/bytes.ts';
import { cleanLine, cleanText } from '../../../src-shared/clean-text.ts';
import type { DiffLine, TextDiff } from '../../../src-shared/collection.ts';
import type { Changes, FileChange, PackageChange } from '../../../src-shared/snapshot/changes.ts';

const MARKS = { added: '+', removed: '-', changed: '~' } as const;
const DIFF_MARKS: Readonly<Record<DiffLine['kind'], string>> = { added: '+', removed: '-', same: ' ', gap: '@@', note: '\\ ' };

/** What changed in a VM, for people: a line for each file and package. Names come from the guest and are cleaned. */
export function changesText(changes: Changes, packagesOnly: boolean): string {
  const { vm, counts, files, packages, notes } = changes;
  const { added, removed, changed } = counts;
  const nothing = added + removed + changed === 0 && packages.length === 0;
  const head = nothing ? `${vm}: nothing changed` : `${vm}: ${added} added, ${removed} removed, ${changed} changed`;
  const lines = packagesOnly ? [] : files.map(fileLine);
  if (!packagesOnly && changes.truncated) lines.push(`  … and ${added + removed + changed - files.length} more`);
  const packageLines = packages.length === 0 ? [] : ['  packages:', ...packages.map((one) => `  ${packageLine(one)}`)];
  return [
    packagesOnly ? `${vm}: ${packages.length} packages changed` : head,
    ...lines,
    ...packageLines,
    ...notes.map((note) => `  ${note}`),
  ].join('\n');
}

function fileLine({ path, change, type, aspects, sizeBefore, sizeAfter }: FileChange): string {
  const size = sizeAfter ?? sizeBefore;
  const grown = change === 'changed' && sizeBefore !== null && sizeAfter !== null && sizeBefore !== sizeAfter;
  const sizes = grown ? `${formatBytes(sizeBefore)} → ${formatBytes(sizeAfter)}` : size === null ? '' : formatBytes(size);
  const about = [...aspects, sizes].filter((text) => text !== '').join(', ');
  const slash = type === 'folder' ? '/' : '';
  return `  ${MARKS[change]} ${cleanName(path)}${slash}${about === '' ? '' : `  (${about})`}`;
}

function packageLine({ name, before, after }: PackageChange): string {
  if (before === null) return `+ ${cleanName(name)} ${cleanName(after ?? '')}`;
  if (after === null) return `- ${cleanName(name)} ${cleanName(before)}`;
  return `~ ${cleanName(name)} ${cleanName(before)} → ${cleanName(after)}`;
}

/** A name may have line breaks and tabs too. */
function cleanName(name: string): string {
  return cleanText(name).replace(/[\n\t]/g, '?');
}

/** How a text changed, for people, as diff shows it. */
export function diffText(path: string, { problem, lines, added, removed }: TextDiff): string {
  if (problem === 'binary') return `${path} is no text.`;
  if (problem === 'large') return `${path} is too large to be compared by line.`;
  const shown = lines.map(({ kind, text }) => `${DIFF_MARKS[kind]}${cleanLine(text)}`);
  return [`${path}: ${added} lines added, ${removed} removed`, ...shown].join('\n');
}
