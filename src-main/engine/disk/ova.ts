import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { decompress } from '../core/decompress.ts';
import { describeProgress, openDownload } from '../core/download/download.ts';
import { diskError } from '../core/files/json-file.ts';
import type { HashAlgorithm } from './checksums.ts';
import { requireSpace, spaceWatch } from './free-space.ts';
import type { ReceiveOptions } from './receive-image.ts';
import { writeSparse } from './sparse-file.ts';
import { readTar, type TarEntry } from './tar/tar.ts';

/** An unpacked OVA: its description as unparsed text, and its files. */
export interface UnpackedOva {
  /** The OVF document. */
  readonly description: string;
  /** Its name in the archive. */
  readonly descriptionName: string;
  /** Name in the archive → absolute path, for everything but certificates and manifest. */
  readonly files: ReadonlyMap<string, string>;
}

const MAX_TEXT = 4 * 1024 * 1024;
/** The OVF of a VM in an oVirt archive; other .ovf files there belong to templates of blank VMs. */
const OVIRT_OVF = /^master\/vms\/[^/]+\/[^/]+\.ovf$/;
/** `SHA256(disk.vmdk)= 0123...`, one line for each file. */
const MANIFEST_LINE = /^\s*(SHA-?1|SHA-?256|SHA-?512)\s*\((.+)\)\s*=\s*([0-9a-fA-F]{40,128})\s*$/;

interface Digest {
  readonly algorithm: HashAlgorithm;
  readonly hex: string;
}

/**
 * Unpacks an OVA (tar, plain or compressed with gzip, xz, zstd, bzip2; http, https or file) into `folder`, which must not exist. One pass,
 * sparse files, constant memory. If the manifest precedes the disks, as the standard says, its checksums are verified. Rejects, leaving
 * nothing, with `remote.invalid` (`readTar`, not exactly one VM, damaged), `remote.hash-mismatch`, `remote.unreachable`, `host.no-space`,
 * `host.denied`, `cancelled`.
 */
export async function unpackOva(url: string, folder: string, options: ReceiveOptions = {}): Promise<UnpackedOva> {
  const what = `The OVA ${url}`;
  const download = await openDownload(url, {
    ...options.download,
    signal: options.signal,
    log: options.log,
    onProgress: (progress) =>
      options.progress?.(progress.total === null ? 0 : progress.received / progress.total, describeProgress(progress)),
  });
  if (download === undefined)
    throw new EngineError('remote.invalid', `There is no OVA at ${url}.`, { hint: 'Check the url in the init file.' });
  await mkdir(folder).catch((error: unknown) => {
    throw diskError(error, folder);
  });
  try {
    await requireSpace(folder, download.total ?? 0, what, options);
    const { content } = await decompress(download.content, url, options.signal);
    const unpacking = new Unpacking(folder, what, options);
    for await (const entry of readTar(content, what)) await unpacking.take(entry);
    return unpacking.result();
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

class Unpacking {
  readonly #folder: string;
  readonly #what: string;
  readonly #options: ReceiveOptions;
  readonly #files = new Map<string, string>();
  readonly #folders = new Set<string>();
  readonly #descriptions = new Map<string, Buffer>();
  #manifest: ReadonlyMap<string, Digest> = new Map();

  constructor(folder: string, what: string, options: ReceiveOptions) {
    this.#folder = folder;
    this.#what = what;
    this.#options = options;
  }

  async take(entry: TarEntry): Promise<void> {
    const { name } = entry;
    if (this.#files.has(name) || this.#descriptions.has(name)) throw this.#refuse(`it has two members named ${JSON.stringify(name)}`);
    for (let parent = posix.dirname(name); parent !== '.'; parent = posix.dirname(parent)) {
      if (this.#files.has(parent)) throw this.#refuse(`its member ${JSON.stringify(parent)} is a file and a folder`);
      this.#folders.add(parent);
    }
    if (entry.type === 'folder') this.#folders.add(name);
    else if (this.#folders.has(name)) throw this.#refuse(`its member ${JSON.stringify(name)} is a file and a folder`);
    else if (/\.ovf$/i.test(name)) await this.#takeDescription(entry);
    else if (/\.mf$/i.test(name)) await this.#takeManifest(entry);
    else if (!/\.cert$/i.test(name)) await this.#takeFile(entry);
  }

  result(): UnpackedOva {
    const names = [...this.#descriptions.keys()];
    const ovirt = names.filter((name) => OVIRT_OVF.test(name));
    const [descriptionName, ...others] = ovirt.length > 0 ? ovirt : names;
    const description = descriptionName === undefined ? undefined : this.#descriptions.get(descriptionName);
    if (descriptionName === undefined || description === undefined) throw this.#refuse('it has no OVF file, which would describe its VM');
    if (others.length > 0) {
      throw new EngineError(
        'remote.invalid',
        `We support only one vm in ova: ${this.#what.replace(/^The/, 'the')} has ${others.length + 1}.`,
        {
          hint: 'Export each VM to an OVA of its own.',
        },
      );
    }
    return { description: description.toString('utf8'), descriptionName, files: this.#files };
  }

  async #takeDescription(entry: TarEntry): Promise<void> {
    const data = await this.#text(entry);
    this.#descriptions.set(entry.name, data);
    this.#verify(entry.name, this.#manifest, (algorithm) => createHash(algorithm).update(data).digest('hex'));
  }

  async #takeManifest(entry: TarEntry): Promise<void> {
    const manifest = new Map<string, Digest>();
    for (const line of (await this.#text(entry)).toString('utf8').split('\n')) {
      const [, algorithm = '', file = '', hex = ''] = MANIFEST_LINE.exec(line) ?? [];
      if (hex !== '')
        manifest.set(posix.join(posix.dirname(entry.name), file), {
          algorithm: algorithm.toLowerCase().replace('-', '') as HashAlgorithm,
          hex: hex.toLowerCase(),
        });
    }
    this.#manifest = manifest;
    for (const [name, data] of this.#descriptions)
      this.#verify(name, manifest, (algorithm) => createHash(algorithm).update(data).digest('hex'));
  }

  async #takeFile(entry: TarEntry): Promise<void> {
    const path = join(this.#folder, entry.name);
    await mkdir(dirname(path), { recursive: true }).catch((error: unknown) => {
      throw diskError(error, path);
    });
    const digest = this.#manifest.get(entry.name);
    const watch = spaceWatch(this.#folder, this.#what, this.#options.signal, this.#options);
    const { checksums } = await writeSparse(path, entry.content, digest === undefined ? [] : [digest.algorithm], watch);
    this.#files.set(entry.name, path);
    this.#verify(entry.name, this.#manifest, (algorithm) => checksums[algorithm] ?? '');
  }

  async #text(entry: TarEntry): Promise<Buffer> {
    if (entry.size > MAX_TEXT) throw this.#refuse(`its description ${JSON.stringify(entry.name)} has ${entry.size} bytes`);
    const chunks: Buffer[] = [];
    for await (const chunk of entry.content) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  #verify(name: string, manifest: ReadonlyMap<string, Digest>, hash: (algorithm: HashAlgorithm) => string): void {
    const digest = manifest.get(name);
    if (digest === undefined) return;
    const actual = hash(digest.algorithm);
    if (actual === digest.hex) return;
    throw new EngineError('remote.hash-mismatch', `${this.#what} is damaged: ${name} does not match the checksum of its manifest.`, {
      details: { expected: digest.hex, actual },
      hint: 'Download or export it again.',
    });
  }

  #refuse(why: string): EngineError {
    return new EngineError('remote.invalid', `${this.#what} cannot be used: ${why}.`);
  }
}
