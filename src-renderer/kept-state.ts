import type { PrefixState } from '../src-shared/state.ts';

const TABS = 'lago.tabs';
const DOCK = 'lago.dock-size';
const PREFIXES = 'lago.last-known';
const FORM = 'lago.timeline-form';

/** What a window remembers from its last run. */
export interface KeptState {
  /** Ids of the environments that had a tab. */
  readonly environments: readonly string[];
  /** Height of the dock, px. */
  readonly dockSize: number;
}

function read(key: string): unknown {
  const text = localStorage.getItem(key);
  if (text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // Written by another version: treat it as missing.
    return undefined;
  }
}

/** Reads the remembered state; anything unreadable counts as missing. */
export function readKept(): KeptState {
  const tabs = read(TABS);
  const dock = read(DOCK);
  return {
    environments: Array.isArray(tabs) ? tabs.filter((id): id is string => typeof id === 'string') : [],
    dockSize: typeof dock === 'number' && dock >= 120 && dock <= 2_000 ? dock : 280,
  };
}

export function keepTabs(environments: readonly string[]): void {
  localStorage.setItem(TABS, JSON.stringify(environments));
}

export function keepDockSize(pixels: number): void {
  localStorage.setItem(DOCK, JSON.stringify(Math.round(pixels)));
}

/** How the history of snapshots is shown. */
export type TimelineForm = 'timeline' | 'table';

export function readTimelineForm(): TimelineForm {
  return read(FORM) === 'table' ? 'table' : 'timeline';
}

export function keepTimelineForm(form: TimelineForm): void {
  localStorage.setItem(FORM, JSON.stringify(form));
}

/** Identifies the build by the hash in its entry's name. State remembered by another build may have another shape. */
const BUILD = import.meta.url;

/** The last known environments, for the first paint; empty when there are none of this build. Outdated until the engine sends its own. */
export function readLastKnown(): readonly PrefixState[] {
  const kept = read(PREFIXES);
  if (typeof kept !== 'object' || kept === null) return [];
  const { build, prefixes } = kept as { build?: unknown; prefixes?: unknown };
  return build === BUILD && Array.isArray(prefixes) ? (prefixes as PrefixState[]) : [];
}

export function keepLastKnown(prefixes: readonly PrefixState[]): void {
  localStorage.setItem(PREFIXES, JSON.stringify({ build: BUILD, prefixes }));
}
