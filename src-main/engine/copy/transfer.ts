import { randomBytes } from 'node:crypto';
import type { Step } from '../core/operation.ts';
import type { SshConnection } from '../guest/ssh.ts';
import type { CopyProgress } from './progress.ts';

/** One copy that is under way. */
export interface Transfer {
  readonly connection: SshConnection;
  readonly step: Step;
  /** Aborts with the step's, and when the VM stops. */
  readonly signal: AbortSignal;
  readonly progress: CopyProgress;
}

/** ssh patience with a guest that is busy with its disk, ms. */
export const TRANSFER_KEEPALIVE_MS = 30_000;

/** Part of the name of something incomplete. */
export function unique(): string {
  return randomBytes(6).toString('hex');
}
