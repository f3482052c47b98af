import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChecked } from '../../core/run.ts';
import { saveImageHead } from '../../libvirt/save-image.ts';
import type { HostSession } from '../../runtime/session.ts';

/** Reading a large memory from a slow disk takes minutes. */
const RESTORE_MS = 30 * 60_000;

/**
 * Lets a domain go on from memory that was written by QEMU, paused. `xml` is the description that was kept with it, with other paths, name
 * and uuid where they have changed; the devices must be the same. libvirt reads a file of its own format, which is put together on
 * the way: its head and the memory go through a pipe, and nothing is copied on the disk. What a killed attempt has left is replaced.
 */
export async function restoreMemory(
  session: HostSession,
  memory: { readonly domain: string; readonly xml: string; readonly file: string },
): Promise<void> {
  const name = join(session.host.socketDir, createHash('sha256').update(memory.domain).digest('hex').slice(0, 12));
  const [head, pipe] = [`${name}.head`, `${name}.pipe`];
  const stop = new AbortController();
  try {
    await rm(pipe, { force: true });
    await writeFile(head, saveImageHead(memory.xml), { mode: 0o600 });
    await runChecked(['mkfifo', '-m', '600', pipe], 'A pipe to libvirt could not be made.');
    // When this process is killed before libvirt reads, nobody ever would.
    const together = ['setpriv', '--pdeathsig', 'TERM'];
    const writing = runChecked(
      [...together, 'sh', '-c', 'exec cat "$1" "$2" > "$3"', 'sh', head, memory.file, pipe],
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
    await Promise.all([head, pipe].map(async (path) => await rm(path, { force: true })));
  }
}
