import { randomBytes } from 'node:crypto';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDead } from '../../core/fault.ts';
import { diskError } from '../../core/files/disk-error.ts';
import { runChecked } from '../../core/run.ts';
import { saveImageHead } from '../../libvirt/save-image.ts';
import type { HostSession } from '../../runtime/session.ts';

/** Reading a large memory from a slow disk takes minutes. */
const RESTORE_MS = 30 * 60_000;

/**
 * Lets a domain go on from memory that was written by QEMU, paused. `xml` is the description that was kept with it, with other paths, name
 * and uuid where they have changed; the devices must be the same. libvirt reads a file of its own format, which is put together on
 * the way: its head and the memory go through a pipe, and nothing is copied on the disk.
 */
export async function restoreMemory(
  session: HostSession,
  memory: { readonly domain: string; readonly xml: string; readonly file: string },
): Promise<void> {
  const name = join(session.host.socketDir, `${memory.domain}.${randomBytes(6).toString('hex')}`);
  const [head, pipe] = [`${name}.head`, `${name}.pipe`];
  const stop = new AbortController();
  try {
    await writeFile(head, saveImageHead(memory.xml), { mode: 0o600 });
    await runChecked(['mkfifo', '-m', '600', pipe], 'A pipe to libvirt could not be made.');
    // It waits for libvirt to open the pipe, for ever if that does not happen: so it ends with this process.
    const writing = runChecked(
      ['setpriv', '--pdeathsig', 'TERM', 'sh', '-c', 'exec cat "$1" "$2" > "$3"', 'sh', head, memory.file, pipe],
      'The memory could not be read.',
      { signal: stop.signal },
    );
    const restore = async (): Promise<void> => {
      try {
        await session.hypervisor.restoreDomain(pipe, { state: 'paused', xml: memory.xml }, { timeoutMs: RESTORE_MS });
      } catch (error) {
        // When libvirt refuses, the pipe waits for a reader for ever.
        stop.abort();
        throw error;
      }
    };
    const [restored, written] = await Promise.allSettled([restore(), writing]);
    if (restored.status === 'rejected') throw restored.reason;
    if (written.status === 'rejected') throw written.reason;
  } finally {
    // A killed process does not clean up either.
    if (!isDead()) await Promise.all([head, pipe].map(async (path) => await rm(path, { force: true })));
  }
}

/** Removes what killed restores of these domains have left. Nobody may be restoring one of them. */
export async function removeRestores({ host }: HostSession, domains: readonly string[]): Promise<void> {
  const names = await readdir(host.socketDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw diskError(error, host.socketDir);
  });
  const left = names.filter((name) => domains.some((domain) => name.startsWith(`${domain}.`) && /\.[0-9a-f]{12}\.(head|pipe)$/.test(name)));
  await Promise.all(left.map(async (name) => await rm(join(host.socketDir, name), { force: true })));
}
