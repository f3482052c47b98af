import type { InitFile } from '../../../src-shared/init-file/parse.ts';
import type { PathKey } from '../../../src-shared/init-file/source.ts';
import { formatPath } from '../../../src-shared/init-file/source.ts';
import type { Issue } from '../../../src-shared/issue.ts';
import type { OutsidePath } from '../../../src-shared/plan.ts';
import type { LeaseSubnet } from '../net/subnets.ts';
import type { VmTypePlugin } from '../plugins/contract.ts';
import type { Belonging, FileAccess, Trust } from './trust.ts';

/** A template version as the repository and the store know it. */
export interface TemplateFound {
  /** `REPO:TEMPLATE:VERSION`. */
  readonly fullName: string;
  readonly version: string;
  readonly distro: string | undefined;
  /** Virtual size in bytes, null when nobody knows it yet. */
  readonly size: number | null;
  /** True when the store has it. */
  readonly cached: boolean;
  /** What the store or repository says about it; becomes the disk's metadata. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Bytes to fetch, null when the source does not say. */
  readonly downloadSize: number | null;
  /** Where it is fetched from, for people. */
  readonly from?: string;
}

export interface TemplateMissing {
  /** Why there is none, one sentence. */
  readonly missing: string;
  /** The name or version that was probably meant. */
  readonly nearest?: string | undefined;
  /** What to do about it, one sentence. */
  readonly hint?: string | undefined;
}

export interface FileInfo {
  readonly kind: 'file' | 'folder' | 'other';
  readonly size: number;
  /** Of disk images, bytes. */
  readonly virtualSize?: number | undefined;
  /** Of disk images: qcow2, raw... */
  readonly format?: string | undefined;
  /** Backing file as the image names it. */
  readonly backing?: string | undefined;
  /** Of a symbolic link: what it leads to in the end. */
  readonly target?: string | undefined;
  /** The file itself is not there, but this one is, which holds it compressed. Everything else here is about what it holds. */
  readonly packed?: string | undefined;
  /** Why nobody can use it, the end of a sentence: "it may not be read". */
  readonly problem?: string | undefined;
  /** False when this user may not write to it. */
  readonly writable?: boolean | undefined;
  /** Of disk images: what they need besides themselves and a backing file, when that is not one file (a data file, extents of a VMDK). */
  readonly parts?: string | undefined;
}

/** What a text file holds, or why it cannot be read. */
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
  /** How the first boot is made ready where neither file nor template says. */
  readonly bootstrap: 'virt-sysprep' | 'cloud-init' | 'none';
}

/** Everything that planning needs to know about the world. The functions must answer at once and change nothing but `lease`'s own count. */
export interface PlanContext {
  /** Folder of the init file, absolute: relative paths begin here. */
  readonly initFileDir: string;
  /** Where the command runs; Lago began relative paths here. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute path of the prefix to be, for `$LAGO_PREFIX_PATH`. */
  readonly prefixPath: string;
  readonly workdirPath?: string | undefined;
  /** Hands out networks, see `freshAllocator`. */
  readonly lease: LeaseSubnet;
  readonly template: (name: string, version: string | undefined) => TemplateFound | TemplateMissing;
  /** undefined when there is nothing at this absolute path. */
  readonly fileInfo: (path: string) => FileInfo | undefined;
  /** A text that belongs to the init file; undefined while it was not looked up. */
  readonly text: (path: string) => TextFound | undefined;
  /** Which files an init file may name. */
  readonly trust: Trust;
  /** False where images are opened by somebody who may do more than this user (a libvirt of the machine). */
  readonly opensImagesItself: boolean;
  readonly defaults: PlanDefaults;
  readonly skipBootstrap?: boolean;
  readonly skipBuild?: boolean;
}

/** Collects what is wrong, each thing once and at its place. */
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

  /** Files that only count with the user's yes, also those that have it; each once. */
  get outside(): readonly OutsidePath[] {
    return [...this.#outside.values()];
  }

  /** Asks for the user's yes to a file that is not the init file's. It is an error as long as there is none. */
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

  /** What the file names is missing on this machine: `init` cannot make it here, though the file may be right. */
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

/** A path as it is typed into a shell. */
function shellWord(path: string): string {
  return /^[\w./:+@%=-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
