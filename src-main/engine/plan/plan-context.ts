import type { InitFile } from '../../../src-shared/init-file/parse.ts';
import type { PathKey } from '../../../src-shared/init-file/source.ts';
import { formatPath } from '../../../src-shared/init-file/source.ts';
import type { Issue } from '../../../src-shared/issue.ts';
import type { OutsidePath } from '../../../src-shared/plan.ts';
import type { LeaseSubnet } from '../net/subnets.ts';
import type { VmTypePlugin } from '../plugins/contract.ts';
import type { Belonging, FileAccess, Trust } from './trust.ts';

/** A template version known to the repository or the store. */
export interface TemplateFound {
  /** `REPO:TEMPLATE:VERSION`. */
  readonly fullName: string;
  readonly version: string;
  readonly distro: string | undefined;
  /** Virtual size in bytes, null when not yet known. */
  readonly size: number | null;
  /** True when it is in the store. */
  readonly cached: boolean;
  /** Metadata from the store or repository; becomes the disk's metadata. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Bytes to fetch, null when the source does not say. */
  readonly downloadSize: number | null;
  /** Where it is fetched from, for messages. */
  readonly from?: string;
}

export interface TemplateMissing {
  /** Why it is missing, one sentence. */
  readonly missing: string;
  /** The most similar known name or version. */
  readonly nearest?: string | undefined;
  /** What to do about it, one sentence. */
  readonly hint?: string | undefined;
}

export interface FileInfo {
  readonly kind: 'file' | 'folder' | 'other';
  readonly size: number;
  /** For disk images, in bytes. */
  readonly virtualSize?: number | undefined;
  /** For disk images: qcow2, raw... */
  readonly format?: string | undefined;
  /** Backing file as recorded in the image. */
  readonly backing?: string | undefined;
  /** For a symbolic link: its final target. */
  readonly target?: string | undefined;
  /** The compressed file that exists instead of this one. All other fields describe its content. */
  readonly packed?: string | undefined;
  /** Why the file is unusable, the end of a sentence: "it may not be read". */
  readonly problem?: string | undefined;
  /** False when this user may not write to it. */
  readonly writable?: boolean | undefined;
  /** For disk images: what they need besides themselves and a single backing file (a data file, extents of a VMDK). */
  readonly parts?: string | undefined;
}

/** Content of a text file, or why it cannot be read. */
export type TextFound = { readonly text: string } | { readonly problem: string };

export interface PlanDefaults {
  readonly sshUser: string;
  readonly sshPassword: string;
  readonly rootPassword: string | undefined;
  readonly vmType: string;
  readonly vmProvider: string;
  readonly vmTypes: readonly VmTypePlugin[];
  readonly vmProviders: readonly { readonly name: string; readonly hosted?: boolean }[];
  readonly serviceProviders: readonly string[];
  /** Default preparation of the first boot, when neither file nor template says. */
  readonly bootstrap: 'virt-sysprep' | 'cloud-init' | 'none';
}

/** All that planning needs to know about the world. The functions are synchronous and pure, except that `lease` keeps count. */
export interface PlanContext {
  /** Folder of the init file, absolute: the base of relative paths. */
  readonly initFileDir: string;
  /** The current folder; Lago's base of relative paths. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute path of the future prefix, for `$LAGO_PREFIX_PATH`. */
  readonly prefixPath: string;
  readonly workdirPath?: string | undefined;
  /** Allocates networks, see `freshAllocator`. */
  readonly lease: LeaseSubnet;
  readonly template: (name: string, version: string | undefined) => TemplateFound | TemplateMissing;
  /** undefined when nothing exists at this absolute path. */
  readonly fileInfo: (path: string) => FileInfo | undefined;
  /** A text file of the init file; undefined until it has been looked up. */
  readonly text: (path: string) => TextFound | undefined;
  /** Which files an init file may name. */
  readonly trust: Trust;
  /** False when images are opened by a process with more rights than this user (the machine's libvirt). */
  readonly opensImagesItself: boolean;
  readonly defaults: PlanDefaults;
  readonly skipBootstrap?: boolean;
  readonly skipBuild?: boolean;
}

/** Collects issues, each once and with its place. */
export class IssueList {
  readonly #init: InitFile;
  readonly #issues: Issue[] = [];
  readonly #outside = new Map<string, OutsidePath>();

  constructor(init: InitFile) {
    this.#init = init;
  }

  get all(): readonly Issue[] {
    return this.#issues.toSorted((left, right) => left.line - right.line || left.column - right.column);
  }

  get failed(): boolean {
    return this.#issues.some((issue) => issue.severity === 'error');
  }

  /** Files that need the user's permission, including those that have it; each once. */
  get outside(): readonly OutsidePath[] {
    return [...this.#outside.values()];
  }

  /** Requests permission for a file that did not come with the init file. Without permission it is an error. */
  consent(path: readonly PathKey[], file: OutsidePath['path'], access: FileAccess, belonging: Belonging, message: string): void {
    const known = this.#outside.get(file);
    this.#outside.set(file, { path: file, access: known?.access === 'write' ? 'write' : access, key: known?.key ?? formatPath(path) });
    if (belonging === 'allowed') return;
    const hint = `To allow that, add --allow-path ${shellWord(file)}. Otherwise put a copy beside the init file.`;
    this.#add('error', path, message, hint, 'consent');
  }

  error(path: readonly PathKey[], message: string, hint?: string): void {
    this.#add('error', path, message, hint);
  }

  /** Something the file names is missing on this machine: `init` fails here, although the file may be right. */
  lacking(path: readonly PathKey[], message: string, hint?: string): void {
    this.#add('error', path, message, hint, 'machine');
  }

  warning(path: readonly PathKey[], message: string, hint?: string): void {
    this.#add('warning', path, message, hint);
  }

  info(path: readonly PathKey[], message: string, hint?: string): void {
    this.#add('info', path, message, hint);
  }

  #add(severity: Issue['severity'], path: readonly PathKey[], message: string, hint: string | undefined, about?: Issue['about']): void {
    const { line, column } = this.#init.locate(path);
    const issue: Issue = {
      file: this.#init.file,
      line,
      column,
      path: formatPath(path),
      severity,
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(about === undefined ? {} : { about }),
    };
    const known = this.#issues.some(
      (other) => other.line === line && other.column === column && other.path === issue.path && other.message === message,
    );
    if (!known) this.#issues.push(issue);
  }
}

/** Quotes a path for a shell if needed. */
function shellWord(path: string): string {
  return /^[\w./:+@%=-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
