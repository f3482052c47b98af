import type { MergedPackages } from '../../src-shared/repos/merged-packages.ts';
import { type SourceRule, splitSource } from '../../src-shared/repos/package-repos.ts';

/** What each rule does, for the user to choose. */
export const RULES: readonly { readonly value: SourceRule; readonly label: string }[] = [
  { value: 'latest', label: 'Newest wins' },
  { value: 'pinned', label: 'Always wins' },
  { value: 'only-missing', label: 'Adds what is missing' },
];

/** The rule of a source, as far as one can be chosen here. */
export function ruleOf(source: string): SourceRule {
  const { rules } = splitSource(source);
  return rules.includes('pinned') ? 'pinned' : rules.includes('only-missing') ? 'only-missing' : 'latest';
}

/** A source with another rule in place of its own. */
export function withRule(source: string, rule: SourceRule): string {
  const { place } = splitSource(source);
  return rule === 'latest' ? place : `${place}:${rule}`;
}

/** Adds sources whose places are not in the list yet, before the others: what was just built is meant to count first. */
export function addSources(sources: readonly string[], added: readonly string[]): readonly string[] {
  const places = new Set(sources.map((source) => splitSource(source).place));
  const fresh = added.filter((source, at) => {
    const { place } = splitSource(source);
    return !places.has(place) && added.findIndex((other) => splitSource(other).place === place) === at;
  });
  return [...fresh, ...sources];
}

/** Moves a source up (-1) or down (1). */
export function moveSource(sources: readonly string[], at: number, by: -1 | 1): readonly string[] {
  const source = sources[at];
  const other = sources[at + by];
  if (source === undefined || other === undefined) return sources;
  return sources.map((one, index) => (index === at ? other : index === at + by ? source : one));
}

/** Why a text cannot be added as a source; undefined when it can. */
export function sourceProblem(text: string): string | undefined {
  const { place } = splitSource(text);
  if (/^(\/|https?:\/\/.|file:\/\/\/)/.test(place)) return undefined;
  return 'Write an absolute path or pattern, such as /home/me/build, or an http address.';
}

/** Something that was dropped, with its path; empty for what is not on disk. */
export interface DroppedPath {
  readonly path: string;
  readonly folder: boolean;
}

/** The sources among what was dropped, and why the others are none. */
export function droppedSources(dropped: readonly DroppedPath[]): {
  readonly sources: readonly string[];
  readonly problem: string | undefined;
} {
  const isSource = ({ path, folder }: DroppedPath): boolean => path !== '' && (folder || /\.(rpm|deb)$/.test(path));
  const others = dropped.filter((one) => !isSource(one));
  const [first] = others;
  const problem =
    first === undefined
      ? undefined
      : others.length === 1
        ? `${first.path === '' ? 'What was dropped' : first.path} is neither a folder nor a package (.rpm, .deb).`
        : `${others.length} of what was dropped are neither folders nor packages (.rpm, .deb).`;
  return { sources: dropped.filter(isSource).map(({ path }) => path), problem };
}

/** Names of distributions as a user writes them: with commas or blanks between them. */
export function distrosIn(text: string): readonly string[] {
  return [...new Set(text.split(/[\s,]+/).filter((name) => name !== ''))];
}

/** What is merged unless the user says otherwise: as in the last merge, else as in the init file. */
export function usualSources({ reports, declared }: MergedPackages): readonly string[] {
  const last = reports.find(({ name }) => name === null);
  if (last === undefined) return declared?.sources ?? [];
  return last.sources.filter(({ synced }) => !synced).map(({ text }) => text);
}
