import type { RpmSection } from '../definition/section.ts';
import type { SyncSession } from '../packages/session.ts';

/** One synchronisation of a repository of rpm packages. */
export type RpmSession = SyncSession<RpmSection>;
