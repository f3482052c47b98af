const TABS = 'lago.tabs';
const DOCK = 'lago.dock-size';

/** What a window remembers from its last time. */
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
    // Not written by this version: as good as nothing kept.
    return undefined;
  }
}

/** Reads what was kept; anything unreadable counts as not kept. */
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
