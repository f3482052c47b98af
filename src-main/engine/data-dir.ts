import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `$XDG_DATA_HOME/lago` (default `~/.local/share/lago`): the list of environments, and those created in the window. */
export function dataDirOf(env: NodeJS.ProcessEnv): string {
  const base = env['XDG_DATA_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.local', 'share') : base, 'lago');
}

/** The configured folder; if that is Lago's machine-wide default and this user cannot write it, the user's own of the name `own`. */
export async function writableDir(configured: string, machineWide: string, own: string): Promise<string> {
  if (configured !== machineWide) return configured;
  return await access(machineWide, constants.W_OK).then(
    () => machineWide,
    () => join(dataDirOf(process.env), own),
  );
}
