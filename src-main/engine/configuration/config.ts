import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { SETTINGS, type SettingKey, settingKey } from '../../../src-shared/settings.ts';
import { SNAPSHOT_BEFORE, type SnapshotBefore } from '../../../src-shared/snapshot/snapshot-keep.ts';
import { type IniEntry, interpolate, parseIni } from './ini-file.ts';
import type { EngineSettings } from './settings.ts';

/** Where a value comes from. A higher rank wins. */
export interface ConfigSource {
  readonly layer: 'default' | 'file' | 'environment' | 'command line';
  readonly rank: number;
  /** File and line, or the variable's or option's name. */
  readonly place: string;
}

export interface ConfigValue {
  readonly value: string;
  readonly source: ConfigSource;
}

export interface ConfigOptions {
  /** Default `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly home?: string;
  /** Files in order of increasing precedence; default: the places the spec names, see `configPaths`. */
  readonly files?: readonly string[];
}

const COMMAND_LINE_RANK = 1_000_000;
const ENVIRONMENT_RANK = COMMAND_LINE_RANK - 1;

/** The lago.conf files to look for, least important first: /etc, then the XDG system directories, then the user's own. */
export function configPaths(environment: Readonly<Record<string, string | undefined>>, home: string): string[] {
  const systemDirs = (environment['XDG_CONFIG_DIRS'] || '/etc/xdg').split(':').filter((dir) => dir !== '');
  const userDir = environment['XDG_CONFIG_HOME'] || join(home, '.config');
  const dirs = [...systemDirs.reverse(), userDir];
  return ['/etc/lago/lago.conf', ...dirs.map((dir) => join(dir, 'lago', 'lago.conf'))];
}

/** One setting from the environment, as `settingsFromEnvironment` finds it. */
export interface EnvironmentSetting {
  readonly section: string;
  readonly key: string;
  readonly value: string;
  readonly name: string;
}

/**
 * The settings in an environment: `LAGO_NAME` is `[lago] name`, `LAGO__SECTION__NAME` is `[section] name` where the section is the
 * shortest text before the next two underscores. Names become lower case. Empty values are left out and warned about.
 */
export function settingsFromEnvironment(environment: Readonly<Record<string, string | undefined>>): {
  readonly settings: readonly EnvironmentSetting[];
  readonly warnings: readonly string[];
} {
  const settings: EnvironmentSetting[] = [];
  const warnings: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    const global = /^LAGO_(?!_)(.+)$/.exec(name);
    const inSection = global === null ? /^LAGO__(.+?)__(.+)$/.exec(name) : null;
    const section = global === null ? inSection?.[1] : 'lago';
    const key = global === null ? inSection?.[2] : global[1];
    if (section === undefined || key === undefined || value === undefined) continue;
    if (value === '') {
      warnings.push(`empty environment variable definition:${name}, ignoring.`);
      continue;
    }
    settings.push({ section: section.toLowerCase(), key: key.toLowerCase(), value, name });
  }
  return { settings, warnings };
}

/** The effective configuration: defaults, files, environment and command line, each value with its source. */
export class Config {
  readonly #values: ReadonlyMap<string, ReadonlyMap<string, ConfigValue>>;
  /** Warnings for the user, one sentence each. */
  readonly warnings: readonly string[];
  /** The files that were read. */
  readonly files: readonly string[];

  constructor(values: ReadonlyMap<string, ReadonlyMap<string, ConfigValue>>, warnings: readonly string[], files: readonly string[]) {
    this.#values = values;
    this.warnings = warnings;
    this.files = files;
  }

  /** The value and its source; falls back to the built-in default. */
  entry(key: string, section = 'lago'): ConfigValue | undefined {
    const found = this.#values.get(section)?.get(key);
    if (found !== undefined) return found;
    const fallback = settingKey(key, section)?.default;
    return fallback === undefined ? undefined : { value: fallback, source: { layer: 'default', rank: 0, place: 'built in' } };
  }

  get(key: string, section = 'lago'): string | undefined {
    return this.entry(key, section)?.value;
  }

  /** All keys of a section that are set anywhere, including unknown ones (plugins read their own). */
  section(name: string): Readonly<Record<string, string>> {
    return Object.fromEntries([...(this.#values.get(name) ?? [])].map(([key, { value }]) => [key, value]));
  }

  /** True for a flag that is set to anything but an empty string, `false`, `no`, `off` or `0`. */
  flag(key: string, section = 'lago'): boolean {
    const value = this.get(key, section);
    return value !== undefined && !['', 'false', 'no', 'off', '0'].includes(value.trim().toLowerCase());
  }

  /** A number; `input.invalid` naming the source when the text is not one, or not one that the setting allows. */
  number(key: string, section = 'lago'): number {
    const entry = this.entry(key, section);
    const value = Number(entry?.value.trim() || Number.NaN);
    const setting = settingKey(key, section);
    const integer = setting?.type === 'integer';
    const positive = setting?.positive === true;
    if (Number.isFinite(value) && (!integer || Number.isInteger(value)) && (!positive || value > 0)) return value;
    throw new EngineError(
      'input.invalid',
      `${entry?.source.place ?? key}: ${key} must be ${integer ? 'a whole number' : 'a number'}${positive ? ' greater than 0' : ''}, not "${entry?.value ?? ''}".`,
    );
  }

  /** A new configuration in which the command line's values take precedence. */
  withCommandLine(
    values: readonly { readonly section: string; readonly key: string; readonly value: string; readonly option: string }[],
  ): Config {
    const merged = new Map([...this.#values].map(([section, entries]) => [section, new Map(entries)]));
    for (const { section, key, value, option } of values) {
      put(merged, section, key, { value, source: { layer: 'command line', rank: COMMAND_LINE_RANK, place: option } });
    }
    return new Config(merged, this.warnings, this.files);
  }
}

function put(values: Map<string, Map<string, ConfigValue>>, section: string, key: string, value: ConfigValue): void {
  const entries = values.get(section) ?? new Map<string, ConfigValue>();
  entries.set(key, value);
  values.set(section, entries);
}

/**
 * Reads lago.conf files and the environment. An unreadable file is skipped; a malformed one is `input.invalid` with file and line. Values
 * with a list of choices or a number type are checked here.
 */
export async function loadConfig(options: ConfigOptions = {}): Promise<Config> {
  const environment = options.environment ?? process.env;
  const paths = options.files ?? configPaths(environment, options.home ?? environment['HOME'] ?? homedir());
  const raw = new Map<string, Map<string, { readonly entry: IniEntry; readonly file: string; readonly rank: number }>>();
  const files: string[] = [];
  for (const [index, path] of paths.entries()) {
    const text = await readIfPossible(path);
    if (text === undefined) continue;
    files.push(path);
    const { entries, problems } = parseIni(text);
    if (problems.length > 0) {
      throw new EngineError('input.invalid', problems.map((problem) => `${path}:${problem.line}: ${problem.message}.`).join('\n'), {
        details: { file: path, line: problems[0]?.line ?? 0 },
        hint: 'Fix the file, or move it away.',
      });
    }
    for (const entry of entries) {
      const section = raw.get(entry.section) ?? new Map();
      section.set(entry.key, { entry, file: path, rank: index + 1 });
      raw.set(entry.section, section);
    }
  }
  const values = new Map<string, Map<string, ConfigValue>>();
  const defaults = raw.get('DEFAULT') ?? new Map<string, never>();
  for (const [section, own] of raw) {
    if (section === 'DEFAULT') continue;
    for (const [key, { entry, file, rank }] of [...defaults, ...own]) {
      const done = interpolate(entry.value, (name) => own.get(name)?.entry.value ?? defaults.get(name)?.entry.value);
      if ('problem' in done) {
        throw new EngineError('input.invalid', `${file}:${entry.line}: the value of "${key}" is wrong: ${done.problem}.`, {
          details: { file, line: entry.line },
        });
      }
      put(values, section, key, { value: done.value, source: { layer: 'file', rank, place: `${file}:${entry.line}` } });
    }
  }
  const { settings, warnings } = settingsFromEnvironment(environment);
  for (const { section, key, value, name } of settings) {
    put(values, section, key, { value, source: { layer: 'environment', rank: ENVIRONMENT_RANK, place: name } });
  }
  const config = new Config(values, warnings, files);
  for (const setting of SETTINGS) check(config, setting);
  return config;
}

async function readIfPossible(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES', 'EPERM', 'ELOOP'].includes(code ?? '')) return undefined;
    throw error;
  }
}

function check(config: Config, setting: SettingKey): void {
  const entry = config.entry(setting.key, setting.section);
  if (entry === undefined || entry.source.layer === 'default') return;
  if (setting.type === 'integer' || setting.type === 'number') config.number(setting.key, setting.section);
  if (setting.choices !== undefined && setting.extensible !== true && !setting.choices.includes(entry.value)) {
    throw new EngineError(
      'input.invalid',
      `${entry.source.place}: ${setting.key} must be one of ${setting.choices.join(', ')}, not "${entry.value}".`,
    );
  }
}

/** A verb's option: from its own section, else from `[lago]` as in older files, else the default. */
function verbEntry(config: Config, key: string, section: string): ConfigValue | undefined {
  const own = config.entry(key, section);
  if (own !== undefined && own.source.layer !== 'default') return own;
  return config.entry(key) ?? own;
}

/**
 * The settings that the engine needs. `host` and `libvirt_url` both select the host; the one from the higher layer wins (`libvirt_url` at a
 * tie); with neither it is `embedded`. The same goes for a repository path and a repository name.
 */
export function engineSettings(config: Config): EngineSettings {
  const host = config.entry('host');
  const url = config.entry('libvirt_url');
  const repoPath = verbEntry(config, 'template_repo_path', 'init');
  const repoName = verbEntry(config, 'template_repo_name', 'init');
  const reposyncConfig = config.get('reposync_config') ?? '';
  const byName = repoName !== undefined && (repoPath?.source.rank ?? -1) < repoName.source.rank;
  return {
    host: url !== undefined && url.value !== '' && url.source.rank >= (host?.source.rank ?? 0) ? url.value : (host?.value ?? 'embedded'),
    uplink: config.get('uplink') === 'none' ? 'none' : 'auto',
    accelerator: accelerator(config.get('accelerator')),
    leaseDir: config.get('lease_dir') ?? '/var/lib/lago/subnets',
    templateStore: verbEntry(config, 'template_store', 'init')?.value ?? '/var/lib/lago/store',
    templateRepoPath: byName ? undefined : repoPath?.value,
    templateRepoName: byName ? repoName.value : undefined,
    templateRepos: verbEntry(config, 'template_repos', 'init')?.value ?? '/var/lib/lago/repos',
    sshUser: config.get('ssh_user') ?? 'root',
    sshPassword: config.get('ssh_password') ?? '',
    sshTries: config.number('ssh_tries'),
    sshTimeout: config.number('ssh_timeout'),
    snapshotKeep: { last: limit(config, 'snapshot_keep'), days: limit(config, 'snapshot_keep_days') },
    snapshotBefore: snapshotBefore(config),
    reposyncDir: config.get('reposync_dir') ?? '/var/lib/lago/reposync',
    ...(reposyncConfig === '' ? {} : { reposyncConfig }),
    defaultVmType: config.get('default_vm_type') ?? 'default',
    defaultVmProvider: config.get('default_vm_provider') ?? 'local-libvirt',
    defaultRootPassword: config.get('root_password') ?? config.get('default_root_password'),
    exportInitFileName: config.get('init_file_name', 'export') ?? 'LagoInitFile',
    exportSparsify: sparsify(config.get('sparsify', 'export')),
  };
}

/** A number that may be absent: there is no limit then. */
function limit(config: Config, key: string): number | undefined {
  return (config.get(key) ?? '') === '' ? undefined : config.number(key);
}

/** `input.invalid` for a word that is none of those that the setting knows. */
function snapshotBefore(config: Config): readonly SnapshotBefore[] {
  const words = (config.get('snapshot_before') ?? '').split(/[\s,]+/).filter((word) => word !== '');
  return words.map((word) => {
    const known = SNAPSHOT_BEFORE.find((one) => one === word);
    if (known !== undefined) return known;
    const place = config.entry('snapshot_before')?.source.place ?? 'snapshot_before';
    throw new EngineError(
      'input.invalid',
      `${place}: snapshot_before is a list of ${SNAPSHOT_BEFORE.join(', ')}, and "${word}" is none of them.`,
    );
  });
}

function sparsify(value: string | undefined): NonNullable<EngineSettings['exportSparsify']> {
  return value === 'always' || value === 'never' ? value : 'auto';
}

function accelerator(value: string | undefined): EngineSettings['accelerator'] {
  return value === 'kvm' || value === 'tcg' ? value : 'auto';
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  if (line !== '') lines.push(line);
  return lines;
}

/** Formats like C's ctime: `Sun Nov 22 11:26:00 2026`. */
function ctime(date: Date): string {
  const [weekday, month, day, year, time] = date.toString().split(' ');
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`;
}

/**
 * The effective configuration as a lago.conf with a comment for each key. `verbose` also lists, commented out, the keys without a
 * value. Reading the result back gives the same configuration.
 */
export function generateConfig(config: Config, options: { readonly verbose: boolean; readonly now: Date }): string {
  const { host } = engineSettings(config);
  // Side by side, the URL would override the host; leave out whichever is not in effect.
  const system = config.get('libvirt_url') === host;
  const lines = [`# Lago configuration file, generated: ${ctime(options.now)}`];
  for (const section of new Set(SETTINGS.map((setting) => setting.section))) {
    const shown = SETTINGS.filter((setting) => setting.section === section).flatMap((setting) => {
      const value =
        setting.section === 'lago' && setting.key === 'host'
          ? host
          : setting.key === 'libvirt_url' && !system
            ? undefined
            : config.get(setting.key, section);
      if (value === undefined && !options.verbose) return [];
      const comment = wrap(`${setting.help}${setting.choices === undefined ? '' : ` One of: ${setting.choices.join(', ')}.`}`, 68).map(
        (line) => `# ${line}`,
      );
      const text = value?.replaceAll('%', '%%').replaceAll('\n', '\n\t');
      return [...comment, text === undefined ? `#${setting.key} = None` : `${setting.key} = ${text}`];
    });
    if (shown.length > 0) lines.push('', `[${section}]`, ...shown);
  }
  return lines.join('\n');
}
