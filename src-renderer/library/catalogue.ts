import type { TemplateState, TemplateVersionState } from '../../src-shared/state.ts';

/** Sort key of the list of templates. Names ascend; sizes and times descend. */
export type CatalogueOrder = 'name' | 'size' | 'used';

/** Which templates are shown. */
export interface CatalogueFilter {
  /** Words that must all match. */
  readonly text: string;
  /** Only templates in the store. */
  readonly stored: boolean;
}

/** A template with those of its versions that match. */
export interface CatalogueEntry {
  readonly template: TemplateState;
  readonly versions: readonly TemplateVersionState[];
  /** Whether a word matches only a version, so that the versions must be shown. */
  readonly unfold: boolean;
}

/** A template summarised in one row. */
export interface TemplateSummary {
  /** Number of versions in the store. */
  readonly stored: number;
  /** Their total bytes; null when there are none. */
  readonly size: number | null;
  readonly publishedAt: number | null;
  readonly usedAt: number | null;
  /** The environments that use it, each once, in the order of the versions. */
  readonly usedBy: TemplateVersionState['usedBy'];
}

/** One image that evicting unused ones would remove. */
export interface Evictable {
  readonly fullName: string;
  readonly title: string;
  readonly version: string;
  readonly size: number;
  readonly usedAt: number | null;
  /** Whether no repository lists it any more. */
  readonly lost: boolean;
}

const DAY = 86_400_000;
const collator = new Intl.Collator('en', { numeric: true });

function newest(times: readonly (number | null)[]): number | null {
  return times.reduce((latest, time) => (time !== null && (latest === null || time > latest) ? time : latest), null);
}

/** Summarises versions for a folded row. */
export function summaryOf(versions: readonly TemplateVersionState[]): TemplateSummary {
  const stored = versions.filter((version) => version.cached);
  const users = new Map(versions.flatMap((version) => version.usedBy.map((user) => [user.path, user] as const)));
  return {
    stored: stored.length,
    size: stored.length === 0 ? null : stored.reduce((sum, version) => sum + (version.size ?? 0), 0),
    publishedAt: newest(versions.map((version) => version.publishedAt)),
    usedAt: newest(versions.map((version) => version.usedAt)),
    usedBy: [...users.values()],
  };
}

function textOf(template: TemplateState): string {
  return [template.title, template.name, template.distro, template.repository, template.cloudInit ? 'cloud-init' : '']
    .join('\n')
    .toLowerCase();
}

function entryOf(template: TemplateState, words: readonly string[], stored: boolean): CatalogueEntry | undefined {
  const text = textOf(template);
  const rest = words.filter((word) => !text.includes(word));
  const versions = template.versions.filter((version) => {
    if (stored && !version.cached) return false;
    const own = [version.fullName, ...version.usedBy.map((user) => user.name)].join('\n').toLowerCase();
    return rest.every((word) => own.includes(word));
  });
  return versions.length === 0 ? undefined : { template, versions, unfold: rest.length > 0 };
}

/** The templates that match the filter, sorted; ties by name, then by repository. */
export function catalogue(templates: readonly TemplateState[], filter: CatalogueFilter, order: CatalogueOrder): readonly CatalogueEntry[] {
  const words = filter.text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const weight = ({ versions }: CatalogueEntry): number => {
    if (order === 'name') return 0;
    const summary = summaryOf(versions);
    return (order === 'size' ? summary.size : summary.usedAt) ?? -1;
  };
  return templates
    .flatMap((template) => entryOf(template, words, filter.stored) ?? [])
    .map((entry) => ({ entry, weight: weight(entry) }))
    .sort(
      (a, b) =>
        b.weight - a.weight ||
        collator.compare(a.entry.template.title, b.entry.template.title) ||
        collator.compare(a.entry.template.id, b.entry.template.id),
    )
    .map(({ entry }) => entry);
}

/** Whether an evicted image could be fetched again. Assumes that a vendor still offers older images. */
export function isFetchable(template: TemplateState, version: TemplateVersionState): boolean {
  return version.from !== null || template.versions.some((other) => other.moving);
}

/** The stored images that no environment uses and that were not used for that many days, the largest first. */
export function evictable(templates: readonly TemplateState[], olderThanDays: number, now: number): readonly Evictable[] {
  return templates
    .flatMap((template) =>
      template.versions
        .filter((version) => version.cached && version.usedBy.length === 0 && (version.usedAt ?? 0) <= now - olderThanDays * DAY)
        .map((version) => ({
          fullName: version.fullName,
          title: template.title,
          version: version.version,
          size: version.size ?? 0,
          usedAt: version.usedAt,
          lost: !isFetchable(template, version),
        })),
    )
    .sort((a, b) => b.size - a.size || collator.compare(a.fullName, b.fullName));
}

/** Why an image cannot be evicted, naming the environments; undefined when it can. */
export function evictBlocked(version: TemplateVersionState): string | undefined {
  const names = version.usedBy.map((user) => user.name);
  if (names.length === 0) return undefined;
  const some = names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
  return `Used by ${some}: ${names.length === 1 ? 'its' : 'their'} disks need it`;
}
