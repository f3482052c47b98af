import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { CrashState } from '../../../../src-shared/state.ts';
import { diskError } from '../../core/files/disk-error.ts';
import type { Host, HostLogs } from '../../host/host.ts';
import type { DomainStatus } from '../../libvirt/hypervisor.ts';
import type { PrefixPaths } from '../../prefix/layout.ts';
import { LOCAL_LOGS, serialLogPath } from '../console/serial-log.ts';

/** virDomainShutoffReason: the guest shut down; the QEMU process ended without a shutdown, or failed to start. */
const SHUTOFF_SHUTDOWN = 1;
const SHUTOFF_CRASHED = 3;
const SHUTOFF_FAILED = 6;

const TAIL_BYTES = 64 * 1024;
const LINES = 8;
const LINE_LENGTH = 240;

/** Whether a VM is off although nobody stopped it and its guest did not shut down. */
export function hasCrashed({ state, reason }: DomainStatus): boolean {
  return state === 'crashed' || (state === 'shut off' && (reason === SHUTOFF_CRASHED || reason === SHUTOFF_FAILED));
}

/** Whether a VM is off because its guest shut down by itself: verbs that do it leave no domain defined. */
export function shutItselfDown({ state, reason }: DomainStatus): boolean {
  return state === 'shut off' && reason === SHUTOFF_SHUTDOWN;
}

/**
 * Details of a crash. libvirt keeps the reason; the time and QEMU's messages are in its log of the domain, which is readable only on an
 * embedded host, and the guest's last words in the log of its serial console.
 */
export async function readCrash(paths: PrefixPaths, vm: string, domain: DomainStatus, host: Host | undefined): Promise<CrashState> {
  const failed = domain.state === 'shut off' && domain.reason === SHUTOFF_FAILED;
  const reason = failed ? 'Its QEMU process could not start.' : 'Its QEMU process ended without shutting down.';
  const text = await qemuLog(paths, domain.name, host);
  return { reason, ...readQemuLog(text), console: await lastPrinted(paths, vm, host?.logs) };
}

async function qemuLog(paths: PrefixPaths, domain: string, host: Host | undefined): Promise<string> {
  if (host?.kind === 'embedded') return await readTail(join(paths.host, 'log', 'qemu', `${domain}.log`));
  if (host?.kind !== 'remote') return '';
  return (await host.run(['tail', '-c', String(TAIL_BYTES), `/var/log/libvirt/qemu/${domain}.log`])).stdout;
}

/** What the guest printed last; nothing where nobody keeps that. */
async function lastPrinted(paths: PrefixPaths, vm: string, logs: HostLogs = LOCAL_LOGS): Promise<readonly string[]> {
  const tail = await logs.tail(serialLogPath(paths, vm), TAIL_BYTES);
  if (tail === undefined) return [];
  const { SerialScan } = await import('../../guest/boot/serial-scan.ts');
  const scan = new SerialScan();
  scan.push(tail.bytes, null);
  return scan.signs().lines;
}

/** The lines that QEMU wrote after its last start, without its command line, and when libvirt detected its end. */
export function readQemuLog(text: string): Pick<CrashState, 'at' | 'lines'> {
  const all = text.split('\n').map((line) => line.replace(/\p{Cc}/gu, ' ').trimEnd());
  const start = all.findLastIndex((line) => /^\d{4}-\d\d-\d\d [\d:.]+\+0000: starting up libvirt/.test(line));
  let first = start + 1;
  if (start >= 0) {
    // Environment and command line: one item a line, all but the last continued with a backslash.
    while (all[first]?.endsWith('\\') === true) first += 1;
    first += 1;
  }
  const said = all.slice(first).filter((line) => line !== '');
  const end = said.findLast((line) => line.includes(': shutting down, reason='));
  const time = /^(\d{4}-\d\d-\d\d) ([\d:.]+)\+0000/.exec(end ?? '');
  return {
    at: time === null ? null : Date.parse(`${time[1]}T${time[2]}Z`),
    lines: said.slice(-LINES).map((line) => (line.length > LINE_LENGTH ? `${line.slice(0, LINE_LENGTH)}…` : line)),
  };
}

async function readTail(path: string): Promise<string> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(TAIL_BYTES), 0, TAIL_BYTES, Math.max(0, size - TAIL_BYTES));
    return buffer.subarray(0, bytesRead).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw diskError(error, path);
  }
}
