import { quote } from '../../../../src-shared/init-file/name-rules.ts';
import { nearest } from '../../../../src-shared/nearest.ts';
import { type FileIssues, WHOLE_FILE } from './file-issues.ts';
import { type IniOption, type IniSection, pathOf, readIni } from './ini.ts';
import { blankStatements, templatedLines } from './jinja.ts';
import { ignoredKey, knownKeys, MEANT_KEYS, NOT_IN_MAIN, USED_KEYS } from './rpm-keys.ts';
import { type Options, RpmOptions } from './rpm-options.ts';
import { type ConnectionOptions, idProblem, type RpmSection } from './section.ts';
import { type Read, readFlag, readIpVersion, readSeconds, readWhole, urlProblem } from './values.ts';
import { distroOfVariables, type RepoVariables, variablesOf } from './variables.ts';

/** What servers are used to; yum asks for as many. */
const DEFAULT_CONNECTIONS = 5;
const MAIN = 'main';

/** Reads the text of a .repo file. Options of `[main]` are defaults of all sections, as far as dnf inherits them. */
export function readRpmSections(text: string, variables: RepoVariables, issues: FileIssues): readonly RpmSection[] {
  const templated = templatedLines(text, issues);
  const sections = mergeSections(readIni(blankStatements(text), issues), issues);
  const main = optionsOf(sections.find((section) => section.id === MAIN) ?? { id: MAIN, options: [] }, issues);
  const own = sections.filter((section) => section.id !== MAIN);
  if (own.length === 0) issues.error(WHOLE_FILE, '', 'The file has no repository.', 'Write [ID] and baseurl = URL below it.');
  return own.flatMap((section) => {
    const distro = distroOfVariables(section.id, variables);
    const values = variablesOf(distro, variables.arch);
    const options = new RpmOptions(section.id, { own: optionsOf(section, issues), main, values, distro, templated, issues });
    const read = rpmSection(section, options, issues);
    const problem = idProblem(section.id);
    if (problem === undefined) return [read];
    // An empty id and one that is still to be filled in were reported where they were read.
    if (section.id !== '' && !templated.has(section.line)) {
      issues.error(section, section.id, problem, 'Use letters, digits, “-”, “_”, “.” and “:”.');
    }
    return [];
  });
}

/** Sections with the same id are one, as for dnf and yum. */
function mergeSections(sections: readonly IniSection[], issues: FileIssues): readonly IniSection[] {
  const merged = new Map<string, IniSection & { readonly options: IniOption[] }>();
  for (const section of sections) {
    const known = merged.get(section.id);
    if (known === undefined) merged.set(section.id, { ...section, options: [...section.options] });
    else {
      known.options.push(...section.options);
      if (section.id === '') continue;
      const message = `The section ${quote(section.id)} is also in line ${known.line}; the options of both count together.`;
      issues.warning(section, section.id, message, 'Give one of them another id, or make one of the two.');
    }
  }
  return [...merged.values()];
}

/** The options that have an effect, by key; whatever else there is becomes an issue. */
function optionsOf(section: Pick<IniSection, 'id' | 'options'>, issues: FileIssues): Options {
  const found = new Map<string, IniOption>();
  for (const option of section.options) {
    const key = MEANT_KEYS.get(option.key) ?? option.key;
    const path = pathOf(section, option);
    const ignored = ignoredKey(key);
    if (ignored !== undefined) issues[ignored.severity](option, path, `${option.key} is ignored. ${ignored.why}`);
    else if (!USED_KEYS.has(key)) {
      const meant = nearest(option.key, knownKeys());
      const hint = meant === undefined ? undefined : `Did you mean ${meant}?`;
      issues.warning(option, path, `Unknown key ${quote(option.key)}.`, hint);
    } else if (section.id === MAIN && NOT_IN_MAIN.has(key)) {
      issues.warning(option, path, `${option.key} has no effect in [main].`, 'Write it into the section of a repository.');
    } else {
      if (key !== option.key) issues.info(option, path, `${option.key} is taken for ${key}, as dnf calls it.`);
      const before = found.get(key);
      if (before !== undefined) {
        const message = `${option.key} is also in line ${before.line}; the last one counts.`;
        issues.warning(option, path, message, 'Remove one of the two.');
      }
      found.set(key, option);
    }
  }
  return found;
}

function rpmSection(section: IniSection, options: RpmOptions, issues: FileIssues): RpmSection {
  const { id, line } = section;
  const enabled = options.read(['enabled'], readFlag) ?? true;
  const baseurls = options.list('baseurl', urlProblem);
  const mirrorlist = options.read(['mirrorlist'], readUrl);
  const metalink = options.read(['metalink'], readUrl);
  if (!options.has('baseurl', 'mirrorlist', 'metalink')) {
    const report = enabled ? issues.error.bind(issues) : issues.warning.bind(issues);
    report(section, id, 'The section does not say where its packages are.', 'Add baseurl = URL (or mirrorlist or metalink).');
  }
  options.read(['type'], readType);
  const gpgCheck = options.read(['gpgcheck'], readFlag) ?? false;
  const repoGpgCheck = options.read(['repo_gpgcheck'], readFlag) ?? false;
  const gpgKeys = options.list('gpgkey', keyProblem);
  if ((gpgCheck || repoGpgCheck) && !options.has('gpgkey')) {
    const key = options.option(gpgCheck ? 'gpgcheck' : 'repo_gpgcheck');
    issues.warning(
      key ?? section,
      `${id}.${key?.key ?? 'gpgcheck'}`,
      `The signatures of ${quote(id)} are to be checked, but no gpgkey says with which key.`,
      'Add gpgkey = URL, or gpgcheck = 0.',
    );
  }
  return {
    kind: 'rpm',
    id,
    name: options.text('name') ?? id,
    file: issues.file,
    line,
    enabled,
    maxConnections: options.read(['max_connections', 'max_parallel_downloads'], (text) => readWhole(text, 1, 1000)) ?? DEFAULT_CONNECTIONS,
    connection: connectionOf(options),
    baseurls,
    ...(mirrorlist === undefined ? {} : { mirrorlist }),
    ...(metalink === undefined ? {} : { metalink }),
    excludes: [...new Set([...options.everywhere('exclude'), ...options.everywhere('excludepkgs')])],
    includes: [...new Set(options.everywhere('includepkgs'))],
    gpgCheck,
    repoGpgCheck,
    gpgKeys,
    cost: options.read(['cost'], (text) => readWhole(text, -1_000_000, 1_000_000)) ?? 1000,
    priority: options.read(['priority'], (text) => readWhole(text, -1_000_000, 1_000_000)) ?? 99,
    moduleHotfixes: options.read(['module_hotfixes'], readFlag) ?? false,
    skipIfUnavailable: options.read(['skip_if_unavailable'], readFlag) ?? false,
  };
}

function connectionOf(options: RpmOptions): ConnectionOptions {
  const proxy = options.read(['proxy'], readProxy);
  const ipVersion = options.read(['ip_resolve'], readIpVersion);
  // Zero means "for ever" to dnf; here it means what there is without the option.
  const timeout = options.read(['timeout'], readSeconds) || undefined;
  const retries = options.read(['retries'], (text) => readWhole(text, 0, 1000)) || undefined;
  const texts = {
    proxyUsername: options.text('proxy_username'),
    proxyPassword: options.text('proxy_password'),
    username: options.text('username'),
    password: options.text('password'),
    sslCaCert: options.text('sslcacert'),
    sslClientCert: options.text('sslclientcert'),
    sslClientKey: options.text('sslclientkey'),
    userAgent: options.text('user_agent'),
  };
  return {
    sslVerify: options.read(['sslverify'], readFlag) ?? true,
    ...(proxy === undefined ? {} : { proxy }),
    ...(ipVersion === undefined ? {} : { ipVersion }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(retries === undefined ? {} : { retries }),
    ...Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined && text !== '')),
  };
}

function readUrl(text: string): Read<string | undefined> {
  const problem = text === '' ? undefined : urlProblem(text);
  return problem === undefined ? { value: text === '' ? undefined : text } : { problem };
}

function readProxy(text: string): Read<string | 'none'> {
  if (text === '' || /^_?none_?$/i.test(text)) return { value: 'none' };
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  return URL.canParse(url) ? { value: url } : { problem: 'The address of the proxy is no valid URL.' };
}

function readType(text: string): Read<string> {
  if (/^(?:rpm-md|rpm|repomd|rpmmd|yum|none)?$/i.test(text)) return { value: text };
  return { problem: `${quote(text)} is no type of repository that can be read; rpm-md is.` };
}

function keyProblem(text: string): string | undefined {
  return text.startsWith('/') ? undefined : urlProblem(text);
}
