import { EngineError } from '../../../src-shared/errors.ts';
import type { CustomizeCommand } from './appliance.ts';

/** Options of one `virt-customize` builder as written in an init file. */
export type BuilderOptions = Readonly<Record<string, unknown>>;

export interface CustomizeCall {
  readonly args: readonly string[];
  /** For `--commands-from-file`. */
  readonly commands: readonly CustomizeCommand[];
  readonly secrets: readonly string[];
}

/**
 * virt-customize's commands. They are passed in a file, since their values may hold secrets and every user can see the arguments of a
 * program. All other options configure the program itself.
 */
const COMMANDS: ReadonlySet<string> = new Set(
  (
    'append-line chmod chown copy copy-in delete edit firstboot firstboot-command firstboot-install hostname inject-qemu-ga ' +
    'inject-virtio-win install link mkdir move password root-password run run-command scrub sm-attach sm-credentials sm-register ' +
    'sm-remove sm-unregister ssh-inject tar-in timezone touch truncate truncate-recursive uninstall update upload write'
  ).split(' '),
);
/** The init file says which disk to build; these options would add others. Abbreviated options count too. */
const OTHER_DISKS = ['add', 'domain', 'connect'];
const PASSWORDS: ReadonlySet<string> = new Set(['root-password', 'password', 'sm-credentials']);

/** The problems of a builder's options, one sentence each. */
export function customizeProblems(options: BuilderOptions): readonly string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    if (!/^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/.test(name)) return [`"${name}" is not an option of virt-customize.`];
    if (OTHER_DISKS.some((other) => other.startsWith(name)))
      return [`The option ${name} is not for an init file: the disk is the one that has the build section.`];
    if (name === 'commands-from-file') return ['The option commands-from-file is not for an init file: write the commands themselves.'];
    const values = Array.isArray(value) ? value : [value];
    if (!values.every((each) => each === null || ['string', 'number', 'boolean'].includes(typeof each))) {
      return [`The value of ${name} must be text, or a list of texts.`];
    }
    return [];
  });
}

/**
 * Translates a builder's options into a virt-customize call: a name of one character → `-x`, longer → `--name`, an empty value → a flag, a
 * list → the option repeated; `ssh-inject: ''` → the prefix's key for root. `input.invalid` for what `customizeProblems` finds.
 */
export function customizeCall(options: BuilderOptions, publicKey: string): CustomizeCall {
  const problem = customizeProblems(options)[0];
  if (problem !== undefined) throw new EngineError('input.invalid', problem);
  const args: string[] = [];
  const commands: CustomizeCommand[] = [];
  const secrets: string[] = [];
  for (const [name, value] of Object.entries(options)) {
    for (const each of Array.isArray(value) ? (value as readonly unknown[]) : [value]) {
      if (each === false) continue;
      const text = each === null || each === true ? '' : String(each as string | number | true);
      if (PASSWORDS.has(name)) secrets.push(...passwordsIn(text));
      if (name === 'ssh-inject' && text === '') commands.push(['ssh-inject', `root:string:${keyWithoutComment(publicKey)}`]);
      else if (COMMANDS.has(name)) commands.push(text === '' ? [name] : [name, text]);
      else args.push(name.length === 1 ? `-${name}` : `--${name}`, ...(text === '' ? [] : [text]));
    }
  }
  return { args, commands, secrets };
}

/** Commands whose value begins with a path on this machine, up to a colon if there is one. */
const WITH_FILE = ['copy-in', 'firstboot', 'run', 'tar-in', 'upload'];
/** Commands whose value is a selector, which may name a file on this machine: `file:PATH`, `USER:file:PATH`. */
const WITH_SELECTOR = ['password', 'root-password', 'sm-credentials', 'ssh-inject'];

/** Files and folders of this machine that a builder's options copy into the disk, as written. */
export function filesOf(options: BuilderOptions): readonly string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    // The program accepts abbreviated options.
    const means = (candidates: readonly string[]): boolean =>
      candidates.some((candidate) => candidate === name || (!COMMANDS.has(name) && candidate.startsWith(name)));
    const values = (Array.isArray(value) ? (value as readonly unknown[]) : [value]).filter((each) => typeof each === 'string');
    return values.flatMap((text) => {
      if (means(WITH_SELECTOR)) return /(?:^|:)file:(.+)$/s.exec(text)?.[1] ?? [];
      if (means(['inject-virtio-win'])) return text.includes('/') ? [text] : [];
      if (!means(WITH_FILE)) return [];
      return means(['run', 'firstboot']) ? [text] : [text.split(':')[0] ?? text];
    });
  });
}

/** Drops the comment of a key: colons separate the parts of a selector, and a comment may contain one. */
function keyWithoutComment(publicKey: string): string {
  return publicKey.trim().split(/\s+/).slice(0, 2).join(' ');
}

/** `password:SECRET`, `USER:password:SECRET`, `USER:locked:password:SECRET`. */
function passwordsIn(selector: string): readonly string[] {
  const secret = /(?:^|:)password:(.+)$/s.exec(selector)?.[1];
  return secret === undefined ? [] : [secret];
}
