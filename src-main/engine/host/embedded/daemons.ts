import { join, relative } from 'node:path';
import { readOptional } from '../../core/process-identity.ts';

/** Where libvirt's runtime folder is inside of a host. */
const INSIDE = '/run/libvirt';

/**
 * Whether the daemon of a pid file of libvirt (`/run/libvirt/…`) lives in the host with this runtime folder. Seen from outside, by a few
 * small files of /proc: no program is run, so it can be asked often. Undefined where the kernel does not list children.
 */
export function daemonLives(runtimeDir: string, pidFile: string): boolean | undefined {
  const [host = ''] = (readOptional(join(runtimeDir, 'host')) ?? '').split(' ');
  // The host's first process takes all daemons as its children.
  const children = host === '' ? undefined : readOptional(`/proc/${host}/task/${host}/children`);
  if (children === undefined) return undefined;
  const pid = readOptional(join(runtimeDir, 'libvirt', relative(INSIDE, pidFile)))?.trim();
  if (pid === undefined || pid === '') return false;
  return children.split(' ').some((child) => child !== '' && pidInside(child) === pid);
}

/** A process's pid in the innermost of its namespaces; undefined once it has ended. */
function pidInside(pid: string): string | undefined {
  const status = readOptional(`/proc/${pid}/status`);
  if (status === undefined || /^State:\s+Z/m.test(status)) return undefined;
  return /^NSpid:.*?(\d+)$/m.exec(status)?.[1];
}
