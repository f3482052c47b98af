import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './scratch.ts';

/** Debian guests. */
export interface DebianGuests {
  /** A template repository with `debian` and `debian-cloud-init`. */
  readonly repository: string;
  /** Variables with which libguestfs finds their kernel. */
  readonly env: Readonly<Record<string, string>>;
}

/** Builds them if nobody did yet, which takes minutes. */
export function debianGuests(): DebianGuests {
  const script = ['--import', join(root, 'scripts/typescript.mjs'), join(root, 'scripts/debian-guest.ts')];
  return JSON.parse(execFileSync(process.execPath, script, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })) as DebianGuests;
}
