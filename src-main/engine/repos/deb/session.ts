import type { DebSection } from '../definition/section.ts';
import type { SyncSession } from '../packages/session.ts';

/** One synchronisation of a source of apt. */
export type DebSession = SyncSession<DebSection>;
