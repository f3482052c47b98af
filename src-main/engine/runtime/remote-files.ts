import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, realpath, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { formatBytes } from '../../../src-shared/bytes.ts';
import { EngineError, isCancelled, toEngineError } from '../../../src-shared/errors.ts';
import type { HostChoice } from '../../../src-shared/host/host-choice.ts';
import type { EnvironmentSpecs } from '../../../src-shared/specs.ts';
import type { EngineSettings } from '../configuration/settings.ts';
import { type Log, silentLog } from '../core/log.ts';
import { openPipe } from '../core/pipe.ts';
import type { run } from '../core/run.ts';
import { inspectImage } from '../disk/qemu-img.ts';
import { FAR_NO, farError, type RemoteMachine } from '../host/remote/machine.ts';
import { type RemotePlace, remotePlace } from '../host/remote/remote.ts';
import { expandPrefixPath } from '../prefix/layout.ts';
import type { Prefix } from '../prefix/prefix.ts';

/**
 * The files of an environment whose VMs run on another machine. They are made here, then sent once; from then on those there are the true
 * ones. Images that disks are based on are sent when no other environment has done so, and kept there.
 */
export interface RemoteFiles {
  readonly place: RemotePlace;
  /** Sends what is not there yet. Interrupted at any moment, nothing incomplete counts as being there. */
  send(how: SendOptions): Promise<void>;
  /** Where a file of the environment is on that machine, outside of its host. */
  farPath(path: string, signal?: AbortSignal): Promise<string>;
}

/** What is needed of the engine. */
export interface RemoteContext {
  readonly settings: Pick<EngineSettings, 'uplink' | 'accelerator'>;
  readonly resourcesDir: string;
}

export interface SendOptions {
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly progress: (fraction: number, detail: string) => void;
}

/** The folders with what VMs read and write. */
const FOLDERS = ['images', 'cloud-init', 'ova'];
const QCOW2_MAGIC = 'QFI\xfb';
/** Here, in the folder of the host: the files have been sent, and those here are out of date. */
const SENT = 'sent';

/** What is known of a prefix before it is complete. */
type PrefixFolder = Pick<Prefix, 'paths' | 'uuid' | 'name'>;

export function remoteFiles(
  prefix: PrefixFolder,
  choice: HostChoice & { kind: 'remote' },
  options: RemoteContext & { readonly log: Log },
): RemoteFiles {
  const { paths, uuid: id } = prefix;
  const uplink = options.settings.uplink === 'none' ? 'none' : choice.uplink;
  const spec = { id, prefix: paths.root, uri: choice.uri, uplink, accelerator: options.settings.accelerator };
  const place = remotePlace(spec, options);
  const { machine } = place;
  const marker = join(paths.host, SENT);

  async function isThere(verb: readonly string[], signal: AbortSignal): Promise<boolean> {
    const result = await machine.far(verb, { signal });
    if (result.code !== 0 && result.code !== FAR_NO) throw farError(machine, 'The environment’s files were not found', result);
    return result.code === 0;
  }

  /** Sends an image with all that are below it, unless it is there, and returns its path there. */
  async function sendImage(path: string, data: string, how: SendOptions): Promise<string> {
    const image = await realpath(path);
    const below = await backingOf(image);
    const farBelow = below === undefined ? undefined : await sendImage(below.path, data, how);
    const { size, mtimeMs, blocks } = await stat(image);
    const name = basename(image);
    const key = createHash('sha256')
      .update(JSON.stringify([name, size, mtimeMs, farBelow]))
      .digest('hex')
      .slice(0, 32);
    if (!(await isThere(['has-image', key], how.signal))) {
      how.log.info(`Sending the image ${image} to ${machine.name}; it is kept there for other environments.`);
      const rebase = below === undefined || farBelow === undefined ? [] : [name, below.format, farBelow];
      const archive = { folder: dirname(image), names: [`./${name}`], bytes: blocks * 512 };
      await sendArchive(machine, archive, ['receive-image', key, name, ...rebase], how);
    }
    return `${data}/images/${key}/${name}`;
  }

  return {
    place,
    async send(how) {
      if (await isThere(['has-files', id], how.signal)) {
        await noteSent(marker);
        return;
      }
      if (existsSync(marker)) {
        throw new EngineError('host.unavailable', `The disks of ${prefix.name} are no longer on ${machine.name}, where they were sent.`, {
          hint: 'They cannot be restored from here: destroy the environment and create it again.',
        });
      }
      const { data } = await place.check(how.signal);
      const names = await filesOf(paths.root);
      const rebases: string[] = [];
      let bytes = 0;
      for (const name of names) {
        const file = join(paths.root, name);
        bytes += (await stat(file)).blocks * 512;
        const below = await backingOf(file);
        if (below === undefined) continue;
        const inside = isInside(paths.root, below.path);
        const farBelow = inside ? `${data}/${id}/prefix/${relative(paths.root, below.path)}` : await sendImage(below.path, data, how);
        rebases.push(name, below.format, farBelow);
      }
      const last = basename(paths.uuid);
      // The uuid comes last: without it the archive was cut off.
      const archive = { folder: paths.root, names: [...names, last].map((name) => `./${name}`), bytes };
      await sendArchive(machine, archive, ['receive-files', id, last, ...rebases], how);
      await noteSent(marker);
    },
    async farPath(path, signal) {
      const { data } = await place.check(signal);
      return `${data}/${id}/prefix/${relative(paths.root, path)}`;
    },
  };
}

async function noteSent(marker: string): Promise<void> {
  if (existsSync(marker)) return;
  await mkdir(dirname(marker), { recursive: true });
  await writeFile(marker, '');
}

function isInside(folder: string, path: string): boolean {
  return path.startsWith(`${folder}/`);
}

/** The files that VMs use, relative to the prefix. */
async function filesOf(root: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const folder of FOLDERS) {
    if (!existsSync(join(root, folder))) continue;
    for (const entry of await readdir(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isDirectory()) found.push(relative(root, join(entry.parentPath, entry.name)));
    }
  }
  return found.sort();
}

/** The image below a qcow2 image, when it is named by its full path; others are found beside it there as here. */
async function backingOf(path: string): Promise<{ readonly path: string; readonly format: string } | undefined> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
  if (bytesRead < 4 || buffer.toString('latin1') !== QCOW2_MAGIC) return undefined;
  const { backingFile, backingFormat } = await inspectImage(path, { format: 'qcow2' });
  if (backingFile?.startsWith('/') !== true) return undefined;
  return { path: backingFile, format: backingFormat ?? 'raw' };
}

/** Streams files as a sparse archive into a verb of far.sh. */
async function sendArchive(
  machine: RemoteMachine,
  archive: { readonly folder: string; readonly names: readonly string[]; readonly bytes: number },
  verb: readonly string[],
  { signal, progress }: SendOptions,
): Promise<void> {
  signal.throwIfAborted();
  const sink = await machine.farPipe(verb);
  sink.stream.resume();
  const source = openPipe(['tar', '-C', archive.folder, '--sparse', '-cf', '-', '--', ...archive.names]);
  source.stream.end();
  let sent = 0;
  source.stream.on('data', (chunk: Buffer) => {
    sent += chunk.length;
    progress(Math.min(1, sent / Math.max(1, archive.bytes)), `${formatBytes(sent)} of ${formatBytes(archive.bytes)}`);
  });
  let broken: EngineError | undefined;
  try {
    await pipeline(source.stream, sink.stream, { signal });
  } catch (error) {
    source.stream.destroy();
    sink.stream.destroy();
    if (isCancelled(error)) throw new EngineError('cancelled', `Cancelled while files were sent to ${machine.name}.`);
    broken = toEngineError(error);
  }
  const [packed, received] = await Promise.all([source.ended, sink.ended]);
  if (received.code !== 0) throw farError(machine, 'The environment’s files could not be kept', received);
  if (broken !== undefined) throw broken;
  if (packed.code !== 0)
    throw new EngineError(
      'host.unavailable',
      `Files in ${archive.folder} could not be read: ${packed.stderr.trim().split('\n').at(-1) ?? ''}`,
    );
}

/** `input.invalid` for a disk outside of the environment's folder: such a file stays here, and its VM will be elsewhere. */
export function requireSendable(specs: EnvironmentSpecs, root: string, machine: string): void {
  for (const vm of specs.vms) {
    for (const disk of vm.disks) {
      const path = expandPrefixPath(disk.path, root);
      if (isInside(root, path)) continue;
      throw new EngineError('input.invalid', `The disk "${disk.name}" of VM ${vm.name} is the file ${path}, which stays on this machine.`, {
        hint: `VMs on ${machine} can only use disks of their environment: have the file copied, or run the environment here.`,
      });
    }
  }
}

/** The files of an environment that is on another machine; undefined for any other. */
export function remoteOf(context: RemoteContext, prefix: Prefix, log: Log): RemoteFiles | undefined {
  const choice = prefix.record?.host;
  return choice?.kind === 'remote' ? remoteFiles(prefix, choice, { ...context, log }) : undefined;
}

/** Where qemu-img finds the disk of an environment whose host may be down, and how it is run there. */
export interface DiskPlace {
  path(path: string): Promise<string>;
  readonly run: typeof run | undefined;
}

/** On this machine, or on the one that has the disks. */
export function diskPlace(context: RemoteContext, prefix: Prefix): DiskPlace {
  const remote = remoteOf(context, prefix, silentLog);
  if (remote === undefined) return { path: async (path) => await Promise.resolve(path), run: undefined };
  const { machine } = remote.place;
  return { path: async (path) => await remote.farPath(path), run: async (argv, options) => await machine.run(argv, options) };
}
