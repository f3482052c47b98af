import type { VmSpec } from '../../../src-shared/specs.ts';
import { readPrefixKey } from '../guest/keys.ts';
import type { Prefix } from '../prefix/prefix.ts';

/**
 * An ssh command line for a shell on this machine. `lago forward` carries it, since the machine itself has no route to an embedded host's
 * networks. The host key is kept under a name of its own: the addresses of other environments may be the same.
 */
export async function sshCommand(prefix: Prefix, vm: VmSpec): Promise<string> {
  const { path } = await readPrefixKey(prefix.paths.root);
  const proxy = ['lago', '--prefix-path', prefix.paths.root, 'forward', vm.name, '22', '-'].map(quote).join(' ');
  return [
    'ssh',
    ...['-i', path],
    ...['-o', `ProxyCommand=${proxy}`],
    ...['-o', `HostKeyAlias=${prefix.uuid}-${vm.name}`],
    ...['-o', 'StrictHostKeyChecking=accept-new'],
    `${vm['ssh-user']}@${vm.name}`,
  ]
    .map(quote)
    .join(' ');
}

/** Quotes a word for a shell if needed. */
function quote(word: string): string {
  return /^[\w./:+@%=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
