import type { TemplateState, TemplateVersionState } from '../../src-shared/state.ts';

/** What the list of templates is ordered by. Names go up, sizes and times down. */
export type CatalogueOrder = 'name' | 'size' | 'used';

/** What of the list is shown. */
export interface CatalogueFilter {
  /** Words that must all be found. */
  readonly text: string;
  /** Only what the store has. */
  readonly stored: boolean;
}

/** A template with those of its versions that are shown. */
export interface CatalogueEntry {
  readonly template: TemplateState;
  readonly versions: readonly TemplateVersionState[];
  /** Whether a word was found in a version only, so that the versions must be seen. */
  readonly unfold: boolean;
}

/** A template as one line. */
export interface TemplateSummary {
  /** Number of versions in the store. */
  readonly stored: number;
  /** Bytes of them, null when there are none. */
  readonly size: number | null;
  readonly publishedAt: number | null;
  readonly usedAt: number | null;
  /** Each environment once, in the order of the versions. */
  readonly usedBy: TemplateVersionState['usedBy'];
}

/** One image that goes when unused ones are evicted. */
export interface Evictable {
  readonly fullName: string;
  readonly title: string;
  readonly version: string;
  readonly size: number;
  readonly usedAt: number | null;
  /** Whether no repository has it any more. */
  readonly lost: boolean;
}

const DAY = 86_400_000;
const collator = new Intl.Collator('en', { numeric: true });

function newest(times: readonly (number | null)[]): number | null {
  return times.reduce((latest, time) => (time !== null && (latest === null || time > latest) ? time : latest), null);
}

/** What a folded row shows. */
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

/** The templates that fit the filter, in this order; ties by name, then repository. */
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

/** Whether an image can be had again once it is evicted. A vendor's older image counts as one that can. */
export function isFetchable(template: TemplateState, version: TemplateVersionState): boolean {
  return version.from !== null || template.versions.some((other) => other.moving);
}

/** The stored images that no environment uses and that were not used for so many days, the largest first. */
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
