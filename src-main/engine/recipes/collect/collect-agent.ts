import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { formatBytes } from '../../../../src-shared/bytes.ts';
import type { CollectedArtifact } from '../../../../src-shared/collection.ts';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { type GuestPath, guestPath, lastLine, lookedAt } from '../../copy/guest-files.ts';
import { FORGET_PACKED, LOOK, PACK_TO } from '../../copy/guest-scripts.ts';
import { ownPart } from '../../copy/local-parts.ts';
import { packWords, reportEnd, unpackArchive } from '../../copy/receive.ts';
import { unique } from '../../copy/transfer.ts';
import { moveInto } from '../../copy/unpack.ts';
import { diskError } from '../../core/files/json-file.ts';
import { drop } from '../../core/log.ts';
import type { Step } from '../../core/operation.ts';
import type { GuestAgent } from '../../guest/agent.ts';
import { missingArtifact, type WantedArtifact } from './collect-live.ts';

/** Compressed bytes of one path: beyond that, reading the disk of the stopped VM is far quicker. Also the room that it takes in the VM. */
const LIMIT = 512 * 1024 * 1024;
/** For removing what was packed, after a cancellation. */
const CLEAN_MS = 5000;

/**
 * Collects from a VM by its guest agent, which needs no ssh but passes no more than a few MB a second. What one path lacks is in its record.
 * If the agent may not run programs, only files can be read, without their modes and times.
 */
export async function collectByAgent(
  agent: GuestAgent,
  vm: VmSpec,
  wanted: readonly WantedArtifact[],
  folder: string,
  step: Step,
): Promise<CollectedArtifact[]> {
  await mkdir(folder, { recursive: true });
  const home = await homeOf(agent, vm['ssh-user'], step.signal);
  const collected: CollectedArtifact[] = [];
  for (const { path, name } of wanted) {
    const progress = slowProgress(step);
    const at = posix.resolve(home, guestPath(path));
    const target = join(folder, name);
    try {
      const found = agent.runs ? await fetchPacked(agent, at, target, progress, step) : await fetchFile(agent, at, target, progress, step);
      collected.push(found ? { path, name, size: progress.bytes, problem: null, missing: false } : missingArtifact(path));
    } catch (error) {
      if (isCancelled(error) || !(error instanceof EngineError) || !['guest.failed', 'input.invalid'].includes(error.code)) throw error;
      step.log.warn(error.message);
      collected.push({ path, name, size: progress.bytes, problem: error.message, missing: false });
    }
  }
  return collected;
}

/** Bytes of content that have arrived, shown with the reason why it takes long. */
interface SlowProgress {
  bytes: number;
  add(count: number): void;
  /** Of what is sent, how much has arrived. */
  sent(fraction: number): void;
}

function slowProgress(step: Step): SlowProgress {
  let fraction = 0;
  return {
    bytes: 0,
    add(count) {
      this.bytes += count;
      step.progress(fraction, `${formatBytes(this.bytes)}, by its guest agent because ssh does not answer: this is slow`);
    },
    sent(part) {
      fraction = part;
    },
  };
}

/** The agent's programs begin at the root, but relative paths are those of the ssh user. */
async function homeOf(agent: GuestAgent, user: string, signal: AbortSignal): Promise<string> {
  const usual = user === 'root' ? '/root' : `/home/${user}`;
  if (!agent.runs) return usual;
  const { stdout } = await agent.run(['/bin/sh', '-c', 'grep "^$1:" /etc/passwd', 'lago', user], signal);
  const home = stdout.split('\n')[0]?.split(':')[5] ?? '';
  return home.startsWith('/') ? home : usual;
}

/** Packs a file or folder in the guest, reads the archive and unpacks it. False if there is nothing at the path. */
async function fetchPacked(agent: GuestAgent, path: string, target: string, progress: SlowProgress, step: Step): Promise<boolean> {
  const { signal } = step;
  const looked = await agent.run(['/bin/sh', '-c', LOOK, 'lago', path, posix.dirname(path), ''], signal);
  const there = lookedAt(agent.vm, path, looked);
  if (there.kind === 'missing' || there.kind === 'link') return false;
  if (there.kind === 'special') throw new EngineError('input.invalid', `${agent.vm}: ${path} is neither a file nor a directory.`);
  if (there.tar === 'none') {
    if (there.kind === 'file') return await fetchFile(agent, path, target, progress, step);
    throw new EngineError('guest.failed', `${agent.vm} has no tar to read ${path} with.`, { details: { vm: agent.vm, path } });
  }
  const id = unique();
  const scratch = ownPart(target);
  let kept = true;
  try {
    step.progress(0, `packing ${path} by its guest agent`);
    const packed = await agent.run(['/bin/sh', '-c', PACK_TO, 'lago', id, String(LIMIT), ...packWords(there)], signal);
    const archive = archiveOf(agent, there, packed);
    await using file = await agent.open(archive.path, signal);
    // It can still be read, and needs no room as soon as it has been.
    await agent.run(['/bin/sh', '-c', FORGET_PACKED, 'lago', id], signal);
    kept = false;
    const tree = join(scratch, 'c');
    await mkdir(tree, { recursive: true, mode: 0o700 });
    const sent = counted(file.content(), archive.size, progress);
    const content = archive.compressed ? unzipped(sent, agent.vm, path) : sent;
    const options = { onFile: () => undefined, onBytes: (count: number) => progress.add(count) };
    await unpackArchive(content, tree, there, { vm: agent.vm, step, signal, ...options });
    await moveInto(there.kind === 'folder' ? tree : join(tree, posix.basename(path)), target);
    reportEnd(agent.vm, step, there, { code: archive.status, said: packed.stderr });
  } finally {
    await rm(scratch, { recursive: true, force: true });
    if (kept) await forgetPacked(agent, id, step);
  }
  return true;
}

interface Archive {
  readonly path: string;
  readonly size: number;
  readonly compressed: boolean;
  /** Exit status of the program that packed. */
  readonly status: number;
}

/** What `PACK_TO` says that it has made. */
function archiveOf(agent: GuestAgent, there: GuestPath, packed: { readonly stdout: string; readonly stderr: string }): Archive {
  const details = { vm: agent.vm, path: there.path };
  const [kind, bytes, status, path] = packed.stdout.split('\n');
  if ((kind !== 'gzip' && kind !== 'plain') || path === undefined || path === '') {
    const why = lastLine(packed.stderr) || 'its shell gave no answer';
    throw new EngineError('guest.failed', `${there.path} of ${agent.vm} cannot be packed for its guest agent: ${why}.`, { details });
  }
  const size = Number(bytes);
  if (size > LIMIT) {
    const most = formatBytes(LIMIT);
    throw new EngineError('guest.failed', `${there.path} of ${agent.vm} is too much for its guest agent: more than ${most} when packed.`, {
      details,
      hint: `Stop ${agent.vm} and collect again: then it is read from the disk.`,
    });
  }
  return { path, size, compressed: kind === 'gzip', status: Number(status) };
}

async function forgetPacked(agent: GuestAgent, id: string, step: Step): Promise<void> {
  const removing = agent.run(['/bin/sh', '-c', FORGET_PACKED, 'lago', id], AbortSignal.timeout(CLEAN_MS));
  drop(removing, step.log, `Removing what was packed in ${agent.vm}`);
  await Promise.allSettled([removing]);
}

async function* counted(content: AsyncIterable<Buffer>, size: number, progress: SlowProgress): AsyncGenerator<Buffer> {
  let sent = 0;
  for await (const chunk of content) {
    sent += chunk.length;
    progress.sent(Math.min(1, sent / Math.max(1, size)));
    yield chunk;
  }
}

async function* unzipped(content: AsyncIterable<Buffer>, vm: string, path: string): AsyncGenerator<Buffer> {
  const unzip = createGunzip();
  const source = Readable.from(content);
  source.once('error', (error) => unzip.destroy(error)).pipe(unzip);
  try {
    yield* unzip as AsyncIterable<Buffer>;
  } catch (error) {
    if (error instanceof EngineError || !(error instanceof Error)) throw error;
    throw new EngineError('guest.failed', `What ${vm} sent of ${path} cannot be unpacked: ${error.message}.`, { cause: error });
  } finally {
    source.destroy();
  }
}

/** Reads one file as it is. False if there is nothing at the path. */
async function fetchFile(agent: GuestAgent, path: string, target: string, progress: SlowProgress, { signal }: Step): Promise<boolean> {
  const part = ownPart(target);
  try {
    await using file = await agent.open(path, signal);
    const read = async function* (): AsyncGenerator<Buffer> {
      for await (const chunk of file.content()) {
        progress.add(chunk.length);
        yield chunk;
      }
    };
    await pipeline(Readable.from(read()), createWriteStream(part, { mode: 0o644 }));
    await moveInto(part, target);
    return true;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'guest.failed') {
      if (error.message.includes('No such file')) return false;
      // The agent does open a folder, and then fails to read it.
      if (error.message.includes('Is a directory')) {
        const why = `Only files can be read of ${agent.vm}, and ${path} is none: its guest agent may not run programs.`;
        throw new EngineError('guest.failed', why, { cause: error, details: { vm: agent.vm, path } });
      }
    }
    throw diskError(error, target);
  } finally {
    await rm(part, { force: true });
  }
}
