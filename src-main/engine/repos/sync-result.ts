/** What a synchronisation did. */
export interface SyncResult {
  readonly id: string;
  /** Folder with the packages and their metadata. */
  readonly path: string;
  /** How many packages are there now, and their bytes. */
  readonly packages: number;
  readonly bytes: number;
  readonly fetched: { readonly packages: number; readonly bytes: number };
  /** How many were there already. */
  readonly kept: number;
  /** Names of packages that were not there before. */
  readonly added: readonly string[];
  /** Paths of packages that are gone. */
  readonly removed: readonly string[];
  /** Packages that could not be had, with the reason; the others are there. */
  readonly problems: readonly string[];
}

/** How far a synchronisation is. */
export interface SyncProgress {
  readonly stage: 'waiting' | 'metadata' | 'checking' | 'packages' | 'finishing';
  /** Packages fetched so far, and how many are to be fetched. */
  readonly done: number;
  readonly total: number;
  readonly bytes: number;
  readonly totalBytes: number;
}
