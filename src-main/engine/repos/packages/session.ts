import type { Log } from '../../core/log.ts';
import type { RepoSection } from '../definition/section.ts';
import type { Connections } from '../fetch/connections.ts';
import type { Patience } from '../fetch/over-mirrors.ts';
import type { RepoFolder } from '../store/folder.ts';

/** One synchronisation of one repository, whose lock is held. */
export interface SyncSession<S extends RepoSection = RepoSection> {
  readonly section: S;
  readonly folder: RepoFolder;
  readonly connections: Connections;
  readonly patience: Patience;
  /** ms since the epoch. */
  readonly began: number;
  readonly log: Log;
  readonly signal: AbortSignal | undefined;
}
