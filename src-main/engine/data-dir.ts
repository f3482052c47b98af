import { homedir } from 'node:os';
import { join } from 'node:path';

/** `$XDG_DATA_HOME/lago` (default `~/.local/share/lago`): the list of environments, and those created in the window. */
export function dataDirOf(env: NodeJS.ProcessEnv): string {
  const base = env['XDG_DATA_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.local', 'share') : base, 'lago');
}
