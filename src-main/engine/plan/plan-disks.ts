import { posix } from 'node:path';
import { pathToFileURL } from 'node:url';
import { quote } from '../../../src-shared/init-file/name-rules.ts';
import type { DiskDefinition, DomainDefinition } from '../../../src-shared/init-file/schema.ts';
import type { PathKey } from '../../../src-shared/init-file/source.ts';
import type { Plan, PlannedVm } from '../../../src-shared/plan.ts';
import type { DiskSpec } from '../../../src-shared/specs.ts';
import type { FileInfo, IssueList, PlanContext, TemplateFound } from './plan-context.ts';
import { askConsent, expandVariables, reportMissing, reportUnusable, resolvePath } from './plan-paths.ts';
import type { FileAccess } from './trust.ts';

type PlannedDisk = PlannedVm['disks'][number];
type PlannedDownload = Plan['downloads'][number];

/** How `init` creates one disk. Paths in the prefix begin with `$LAGO_PREFIX_PATH`, all others are absolute. */
export type DiskJob = { readonly vm: string; readonly disk: string; readonly path: string; readonly format: string } & (
  | { readonly kind: 'template'; readonly template: TemplateFound }
  /** An overlay on an image; `parent` is the template missing from the image's chain: it must be linked at `link`. */
  | {
      readonly kind: 'layer';
      readonly image: string;
      readonly imageFormat: string | undefined;
      readonly parent?: { readonly template: TemplateFound; readonly link: string };
    }
  | { readonly kind: 'empty'; readonly size: number }
  | { readonly kind: 'copy'; readonly from: string }
  /** `keptAt`: absolute path of the download when the disk names one; it may be outside of the prefix and stays there. */
  | { readonly kind: 'download'; readonly url: string; readonly keptAt?: string }
  /** An image that an export compressed; `image` is its uncompressed name, the base of its backing names and of its `.hash`. */
  | {
      readonly kind: 'unpack';
      readonly packed: string;
      readonly image: string;
      readonly parent?: { readonly template: TemplateFound; readonly link: string };
    }
  | { readonly kind: 'in-place' }
);

/**
 * An OVA to be unpacked before the VM's other disks are created; its disks come first, and it sets memory and CPUs. Until then a
 * placeholder stands for its disks, since only the OVA knows their names.
 */
export interface OvaImport {
  readonly vm: string;
  /** http(s) URL, or the absolute path of a local file. */
  readonly from: string;
}

export interface PlannedDisks {
  readonly specs: readonly DiskSpec[];
  readonly disks: readonly PlannedDisk[];
  readonly jobs: readonly DiskJob[];
  readonly downloads: readonly PlannedDownload[];
  readonly ova: OvaImport | undefined;
}

/** Plans every disk of one VM. A disk that cannot be created becomes an issue and is left out. */
export function planDisks(vm: string, domain: DomainDefinition, context: PlanContext, issues: IssueList): PlannedDisks {
  const planner = new DiskPlanner(vm, context, issues);
  if (domain.type === 'ova') planner.ova(domain);
  else if (domain.url !== undefined) issues.warning(['domains', vm, 'url'], 'url has no effect without type: ova.');
  for (const [index, disk] of (domain.disks ?? []).entries()) planner.disk(disk, ['domains', vm, 'disks', index]);
  return planner.result();
}

function absent(path: string): MadeDisk {
  return { path, metadata: {}, size: null, source: null };
}

class DiskPlanner {
  readonly #vm: string;
  readonly #context: PlanContext;
  readonly #issues: IssueList;
  readonly #specs: DiskSpec[] = [];
  readonly #disks: PlannedDisk[] = [];
  readonly #jobs: DiskJob[] = [];
  readonly #downloads: PlannedDownload[] = [];
  readonly #names = new Set<string>();
  readonly #devices = new Set<string>();
  #ova: OvaImport | undefined;
  #ide = 0;

  constructor(vm: string, context: PlanContext, issues: IssueList) {
    this.#vm = vm;
    this.#context = context;
    this.#issues = issues;
  }

  result(): PlannedDisks {
    return { specs: this.#specs, disks: this.#disks, jobs: this.#jobs, downloads: this.#downloads, ova: this.#ova };
  }

  ova(domain: DomainDefinition): void {
    const key = ['domains', this.#vm, 'url'];
    if (domain.url === undefined) {
      this.#issues.error(['domains', this.#vm, 'type'], 'A VM of type ova needs a url.', 'Add url: with an http or file URL of the OVA.');
      return;
    }
    const from = this.#source(domain.url, key);
    if (from === undefined) return;
    if (from.url === undefined && this.#image(from.path, 'OVA file', key) === undefined) return;
    if (from.url !== undefined) this.#downloads.push({ name: from.url, from: from.url, size: null });
    for (const field of ['memory', 'vcpu', 'cpu'] as const) {
      if (domain[field] !== undefined)
        this.#issues.info(['domains', this.#vm, field], `${field} has no effect where the OVA says how much its VM has.`);
    }
    this.#ova = { vm: this.#vm, from: from.url ?? from.path };
    this.#devices.add('vda');
    const name = 'ova';
    this.#disks.push({
      name,
      dev: 'vda',
      format: 'qcow2',
      path: `$LAGO_PREFIX_PATH/images/${this.#vm}_${name}.qcow2`,
      type: 'ova',
      source: this.#ova.from,
      size: null,
    });
  }

  disk(disk: DiskDefinition, key: readonly PathKey[]): void {
    const { name, dev, type } = disk;
    const absent = (['name', 'type', 'dev'] as const).filter((field) => disk[field] === undefined);
    if (name === undefined || dev === undefined || type === undefined) {
      this.#issues.error(
        key,
        `The disk has no ${absent.join(' and no ')}.`,
        absent.includes('dev') ? 'Devices are called vda, vdb… or sda, sdb…' : undefined,
      );
      // Report its other mistakes at the same time.
      if (type !== undefined) this.#plan({ ...disk, name: name ?? 'disk', dev: dev ?? 'vda', type, format: disk.format ?? 'qcow2' }, key);
      return;
    }
    if (this.#names.has(name))
      this.#issues.error([...key, 'name'], `VM ${this.#vm} has two disks named ${name}; they would share one file.`);
    if (this.#devices.has(dev))
      this.#issues.error([...key, 'dev'], `VM ${this.#vm} has two disks at ${dev}.`, `${this.#freeDevice(dev)} is free.`);
    this.#names.add(name);
    this.#devices.add(dev);
    const format = disk.format ?? 'qcow2';
    if (dev.startsWith('hd') || (format === 'iso' && !dev.startsWith('sd'))) this.#ide += 1;
    if (this.#ide > IDE_PLACES)
      this.#issues.error([...key, 'dev'], `VM ${this.#vm} has more than ${IDE_PLACES} disks and CD-ROMs on IDE.`, 'Put some on sda, sdb…');
    const made = this.#plan({ ...disk, name, dev, type, format }, key);
    if (made === undefined) return;
    const { job, metadata, size, source } = made;
    const path = job?.path ?? made.path ?? '';
    if (job !== undefined) this.#jobs.push(job);
    this.#specs.push({ ...disk, name, dev, type, format, path, metadata: { ...disk.metadata, ...metadata } } as DiskSpec);
    this.#disks.push({ name, dev, format, path, type, source, size });
  }

  #plan(disk: DiskDefinition & { name: string; dev: string; type: string; format: string }, key: readonly PathKey[]): MadeDisk | undefined {
    const path = `$LAGO_PREFIX_PATH/images/${this.#vm}_${disk.name}.${disk.format}`;
    const base: JobBase = { vm: this.#vm, disk: disk.name, path, format: disk.format };
    this.#checkUnused(disk, key);
    if (disk.type === 'empty') return this.#empty(base, disk, key);
    if (disk.type === 'file') return this.#file(base, disk, key);
    if (disk.format !== 'qcow2')
      this.#issues.error([...key, 'format'], `A template disk is a qcow2 layer; its format cannot be ${disk.format}.`);
    return disk.template_type === 'qcow2' ? this.#layer(base, disk, key) : this.#template(base, disk, key);
  }

  #checkUnused(disk: DiskDefinition & { type: string }, key: readonly PathKey[]): void {
    const used: Readonly<Record<string, readonly string[]>> = {
      empty: ['size'],
      file: ['path', 'url', 'make_a_copy'],
      template: disk.template_type === 'qcow2' ? ['template_type', 'path'] : ['template_type', 'template_name', 'template_version'],
    };
    for (const field of ['size', 'path', 'url', 'make_a_copy', 'template_type', 'template_name', 'template_version'] as const) {
      if (disk[field] === undefined || used[disk.type]?.includes(field) === true) continue;
      this.#issues.warning([...key, field], `${field} has no effect on this ${disk.type} disk.`);
    }
  }

  #empty(base: JobBase, disk: DiskDefinition, key: readonly PathKey[]): MadeDisk | undefined {
    if (disk.format === 'iso') {
      this.#issues.error([...key, 'format'], 'An empty disk cannot have the format iso.', 'Use qcow2 or raw.');
      return undefined;
    }
    if (disk.size === undefined) {
      this.#issues.error(key, 'An empty disk needs a size.', 'Add size: 10G, for example.');
      return undefined;
    }
    const size = bytesOf(disk.size);
    if (size === undefined || size < 512 || size > MAX_DISK) {
      this.#issues.error([...key, 'size'], `${quote(String(disk.size))} is not a valid disk size.`, 'Write 20G or 512M, for example.');
      return undefined;
    }
    return { job: { ...base, kind: 'empty', size }, metadata: {}, size, source: null };
  }

  #template(base: JobBase, disk: DiskDefinition, key: readonly PathKey[]): MadeDisk | undefined {
    if (disk.template_name === undefined) {
      this.#issues.error(key, 'A template disk needs a template_name.', 'For an image of your own: template_type: qcow2 and path.');
      return undefined;
    }
    const template = this.#findTemplate(disk.template_name, disk.template_version, [
      ...key,
      disk.template_version === undefined ? 'template_name' : 'template_version',
    ]);
    if (template === undefined) return absent(base.path);
    return { job: { ...base, kind: 'template', template }, metadata: template.metadata, size: template.size, source: template.fullName };
  }

  #findTemplate(name: string, version: string | undefined, key: readonly PathKey[]): TemplateFound | undefined {
    const answer = this.#context.template(name, version);
    if ('missing' in answer) {
      this.#issues.lacking(key, answer.missing, answer.nearest === undefined ? answer.hint : `Did you mean ${quote(answer.nearest)}?`);
      return undefined;
    }
    if (!answer.cached) this.#downloads.push({ name: answer.fullName, from: answer.from ?? answer.fullName, size: answer.downloadSize });
    return answer;
  }

  #layer(base: JobBase, disk: DiskDefinition, key: readonly PathKey[]): MadeDisk | undefined {
    if (disk.path === undefined) {
      this.#issues.error(key, 'A disk of template_type qcow2 needs a path.', 'Add path: with its backing image.');
      return undefined;
    }
    const image = resolvePath(disk.path, [...key, 'path'], this.#context, this.#issues);
    const info = this.#image(image, 'Image', [...key, 'path'], { packed: true });
    if (info === undefined) return absent(base.path);
    const parent = info.backing === undefined ? undefined : this.#parent(disk.name ?? '', [image], info.backing, [...key, 'path']);
    if (parent === 'failed') return undefined;
    const below = parent === undefined ? {} : { parent };
    // An unpacked image is used directly as the disk, since nothing else is based on it.
    const job: DiskJob =
      info.packed === undefined
        ? { ...base, kind: 'layer', image, imageFormat: info.format, ...below }
        : { ...base, kind: 'unpack', packed: info.packed, image, ...below };
    return { job, metadata: parent?.template.metadata ?? {}, size: info.virtualSize ?? null, source: image };
  }

  /** An exported image names its template as `NAME:VERSION`; if that file is missing anywhere in the chain, the template replaces it. */
  #parent(
    disk: string,
    above: readonly string[],
    backing: string,
    key: readonly PathKey[],
  ): { template: TemplateFound; link: string } | 'failed' | undefined {
    const link = posix.resolve(posix.dirname(above.at(-1) ?? ''), backing.replace(/^file:/, ''));
    if (above.includes(link)) {
      this.#issues.error(key, `Disk ${disk} and its backing file are the same file.`);
      return 'failed';
    }
    const info = this.#present(link);
    if (info !== undefined) askConsent(link, info, 'read', key, this.#context, this.#issues);
    const linked = info?.target === undefined ? undefined : this.#linkedTemplate(link, info.target);
    if (linked !== undefined) return linked;
    if (info !== undefined) return info.backing === undefined ? undefined : this.#parent(disk, [...above, link], info.backing, key);
    const match = TEMPLATE_FILE.exec(posix.basename(backing));
    if (match === null) {
      this.#issues.error(
        key,
        `Backing file resolution of disk ${disk} failed. Backing file ${link} is not a Lago image.`,
        'Templates are named NAME:VERSION.',
      );
      return 'failed';
    }
    const template = this.#findTemplate(match[1] ?? '', match[2], key);
    return template === undefined ? 'failed' : { template, link };
  }

  /** A link made by an earlier environment also uses a template, which must not be evicted. */
  #linkedTemplate(link: string, target: string): { template: TemplateFound; link: string } | undefined {
    const name = posix.basename(target);
    const match = TEMPLATE_FILE.exec(name);
    const template = match === null ? undefined : this.#context.template(match[1] ?? '', match[2]);
    return template === undefined || 'missing' in template || template.fullName !== name ? undefined : { template, link };
  }

  #file(base: JobBase, disk: DiskDefinition, key: readonly PathKey[]): MadeDisk | undefined {
    const path = disk.path === undefined ? undefined : resolvePath(disk.path, [...key, 'path'], this.#context, this.#issues);
    if (path !== undefined && (disk.url === undefined || this.#context.fileInfo(path) !== undefined)) {
      const copied = disk.make_a_copy === true;
      const access = copied || disk.format === 'iso' || disk['readonly'] === true ? 'read' : 'write';
      const info = this.#image(path, 'File', [...key, 'path'], { packed: true, access, inPlace: !copied });
      if (info === undefined) return absent(copied ? base.path : path);
      if (disk.url !== undefined) this.#issues.info([...key, 'url'], `${path} exists and is used; nothing is downloaded.`);
      this.#checkFormat(path, info, base.format, key);
      const size = info.virtualSize ?? (info.packed === undefined ? info.size : null);
      if (info.packed !== undefined) {
        return { job: { ...base, kind: 'unpack', packed: info.packed, image: path }, metadata: {}, size, source: info.packed };
      }
      if (base.format === info.format) this.#below(disk.name ?? '', [path], info, [...key, 'path']);
      if (disk.make_a_copy === true) return { job: { ...base, kind: 'copy', from: path }, metadata: {}, size, source: path };
      return { job: { ...base, path, kind: 'in-place' }, metadata: {}, size, source: path };
    }
    if (disk.url === undefined) {
      this.#issues.error(key, 'A disk of type file needs a path or a url.');
      return undefined;
    }
    const from = this.#source(disk.url, [...key, 'url']);
    const keptAt = path === undefined ? undefined : this.#keptAt(path, [...key, 'path']);
    if (from === undefined || keptAt === 'failed') return undefined;
    if (from.url !== undefined) {
      this.#downloads.push({ name: from.url, from: from.url, size: null });
      return { job: downloadJob(base, from.url, keptAt, disk.make_a_copy), metadata: {}, size: null, source: from.url };
    }
    const info = this.#image(from.path, 'File', [...key, 'url']);
    if (info === undefined) return undefined;
    if (base.format === info.format) this.#below(disk.name ?? '', [from.path], info, [...key, 'url']);
    const size = info.virtualSize ?? info.size;
    const compressed = /\.(?:xz|gz|zst|bz2)$/i.test(from.path);
    if (compressed || keptAt !== undefined) {
      return {
        job: downloadJob(base, pathToFileURL(from.path).href, keptAt, disk.make_a_copy),
        metadata: {},
        size: compressed ? null : size,
        source: from.path,
      };
    }
    this.#checkFormat(from.path, info, base.format, key);
    return { job: { ...base, kind: 'copy', from: from.path }, metadata: {}, size, source: from.path };
  }

  /**
   * Destination of a download with a `path`, as in Lago. Since init files are untrusted, it must be below the folder of the init file or
   * the workdir, and never be a hidden file in the former: no login script, no key.
   */
  #keptAt(path: string, key: readonly PathKey[]): string | 'failed' {
    const { prefixPath, workdirPath, initFileDir, trust } = this.#context;
    const inside = (folder: string | undefined): boolean => folder !== undefined && path.startsWith(`${folder.replace(/\/$/, '')}/`);
    const hidden = path
      .slice(initFileDir.length)
      .split('/')
      .some((part) => part.startsWith('.'));
    if (inside(prefixPath) || inside(workdirPath)) return path;
    const belonging = trust.judge(this.#realTarget(path), 'write');
    if (belonging === 'allowed' || (inside(initFileDir) && !hidden && belonging === 'own')) return path;
    this.#issues.error(
      key,
      `A download is not kept at ${path}.`,
      'Choose a path below the folder of the init file, or leave it out: then it goes into the environment.',
    );
    return 'failed';
  }

  /** Where a new file would really be created, following links. */
  #realTarget(path: string): string {
    for (let folder = posix.dirname(path); folder !== '/'; folder = posix.dirname(folder)) {
      const target = this.#context.fileInfo(folder)?.target;
      if (target !== undefined) return posix.join(target, path.slice(folder.length));
    }
    return path;
  }

  #checkFormat(path: string, info: FileInfo, format: string, key: readonly PathKey[]): void {
    const content = info.format;
    if (content === undefined || content === format || (format === 'iso' && content === 'raw')) return;
    const hint = `Write "format: ${content}".`;
    // A guest may write anything to its raw disk, even another format's header.
    if (format === 'raw') this.#issues.warning([...key, 'format'], `${path} looks like ${content}, but is used as raw.`, hint);
    else this.#issues.error([...key, 'format'], `${path} is ${content}, not ${format}.`, hint);
  }

  /** The file of that exact name, not compressed. */
  #present(path: string): FileInfo | undefined {
    const info = this.#context.fileInfo(path);
    return info?.packed === undefined ? info : undefined;
  }

  /** A file that is a disk image, or why it is not. */
  #image(
    path: string,
    what: string,
    key: readonly PathKey[],
    how: { readonly packed?: boolean; readonly access?: FileAccess; readonly inPlace?: boolean } = {},
  ): FileInfo | undefined {
    const info = how.packed === true ? this.#context.fileInfo(path) : this.#present(path);
    const opensItself = how.inPlace !== true || this.#context.opensImagesItself;
    if (info === undefined) reportMissing(what, path, key, this.#issues);
    else if (info.problem !== undefined && (opensItself || info.kind !== 'file')) {
      reportUnusable(what, path, info.problem, key, this.#issues);
      return undefined;
    } else if (info.kind === 'folder') {
      this.#issues.error(key, `${path} is a folder, not a disk image.`, 'Name a file.');
      return undefined;
    } else if (info.kind === 'other') {
      this.#issues.error(key, `${path} is a device or pipe, not a disk image.`, 'Name an ordinary file.');
      return undefined;
    } else {
      if (how.inPlace === true && how.access === 'write' && opensItself && info.writable === false) {
        this.#issues.lacking(key, `${what} ${path} is not writable, and a guest writes to its disk.`, 'Add make_a_copy: true.');
      }
      askConsent(path, info, how.access ?? 'read', key, this.#context, this.#issues);
      if (info.parts !== undefined) {
        const belonging = this.#context.trust.judge(info.target ?? path, how.access ?? 'read') === 'allowed' ? 'allowed' : 'outside';
        const message = `The image ${path} needs ${info.parts}, which may be any file of this machine.`;
        this.#issues.consent(key, info.target ?? path, how.access ?? 'read', belonging, message);
      }
    }
    return info;
  }

  /** Checks the backing chain of a file's image: a guest that reads the disk also reads that. */
  #below(disk: string, above: readonly string[], info: FileInfo, key: readonly PathKey[]): void {
    if (info.backing === undefined) return;
    const upper = above.at(-1) ?? '';
    if (/^(?:json:|[a-z][a-z0-9+.-]*:\/\/)/i.test(info.backing)) {
      this.#issues.error(
        key,
        `The backing file of ${upper} is ${quote(info.backing)}, which is not a file.`,
        'Merge it: qemu-img convert -O qcow2.',
      );
      return;
    }
    const lower = posix.resolve(posix.dirname(upper), info.backing.replace(/^file:/, ''));
    if (above.includes(lower)) {
      this.#issues.error(key, `Disk ${disk} and its backing file are the same file.`);
      return;
    }
    const found = this.#image(lower, 'Backing file', key);
    if (found !== undefined && found.format !== 'raw') this.#below(disk, [...above, lower], found, key);
  }

  #source(
    given: string,
    key: readonly PathKey[],
  ): { readonly url: string } | { readonly url: undefined; readonly path: string } | undefined {
    const text = expandVariables(given, this.#context);
    const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(text)?.[1]?.toLowerCase();
    if (scheme === undefined) return { url: undefined, path: resolvePath(text, key, this.#context, this.#issues) };
    if (scheme === 'file')
      return {
        url: undefined,
        path: resolvePath(decodePath(text.replace(/^file:(?:\/\/(?:localhost)?(?=\/|$))?/i, '')), key, this.#context, this.#issues),
      };
    if ((scheme === 'http' || scheme === 'https') && URL.canParse(text)) return { url: new URL(text).href };
    this.#issues.error(key, `${quote(text)} is not a URL that can be downloaded.`, 'Use http, https or file.');
    return undefined;
  }

  #freeDevice(taken: string): string {
    const kind = taken.slice(0, 2);
    for (const letter of 'abcdefghijklmnopqrstuvwxyz') if (!this.#devices.has(kind + letter)) return kind + letter;
    return `${kind}aa`;
  }
}

type JobBase = Pick<DiskJob, 'vm' | 'disk' | 'path' | 'format'>;

interface MadeDisk {
  /** Absent when its source is missing on this machine; the plan still shows the disk, at `path`. */
  readonly job?: DiskJob;
  readonly path?: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly size: number | null;
  readonly source: string | null;
}

function downloadJob(base: JobBase, url: string, keptAt: string | undefined, copy: boolean | undefined): DiskJob {
  if (keptAt === undefined) return { ...base, kind: 'download', url };
  return { ...base, ...(copy === true ? {} : { path: keptAt }), kind: 'download', url, keptAt };
}

/** The machine has one controller with two channels of two. */
const IDE_PLACES = 4;
/** `NAME:VERSION`, optionally with the repository before it. */
const TEMPLATE_FILE = /^(?:.*:)?([^:]+):([^:]+)$/;
/** 1 PiB: larger values are typing errors, which QEMU reports late and obscurely. */
const MAX_DISK = 2 ** 50;
const UNITS = 'bkmgtpe';

/** Bytes of a size in qemu-img's syntax (`20G`, `512M`, `1.5T`, a bare number); undefined when it is not a size. */
export function bytesOf(size: string | number): number | undefined {
  if (typeof size === 'number') return Number.isFinite(size) && size > 0 ? Math.round(size) : undefined;
  const match = /^(\d+(?:\.\d+)?)([bkmgtpe])?(?:i?b)?$/i.exec(size);
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * 1024 ** UNITS.indexOf((match[2] ?? 'b').toLowerCase()));
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // A stray % is part of the name, not an escape.
    return path;
  }
}
