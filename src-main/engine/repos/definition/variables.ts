/** What the variables of repository files stand for is found from these. */
export interface RepoVariables {
  /** The distributions that packages are wanted for: el7, fc25, debian12… */
  readonly distros: readonly string[];
  /** Of the guests, as rpm calls it. Default x86_64. */
  readonly arch?: string | undefined;
}

const ENTERPRISE = 'el|rhel|centos|alma|almalinux|rocky|rockylinux|ol|oraclelinux|sl|scientific|c';
const FAMILIES = `${ENTERPRISE}|fc|f|fedora|debian|ubuntu|sles|sle|opensuse|leap|amzn|amazonlinux|mageia|openeuler|anolis`;
const DISTRO = new RegExp(`^(?<family>${FAMILIES})[-_]?(?:stream[-_]?)?(?<version>\\d+(?:\\.\\d+)*|rawhide)(?:[-_]?stream|s)?$`, 'i');
const IS_ENTERPRISE = new RegExp(`^(?:${ENTERPRISE})$`, 'i');

/** By Lago's rule: the part of a section's id after the last `-`; null without one. */
export function distroOfId(id: string): string | null {
  const dash = id.lastIndexOf('-');
  return dash === -1 ? null : id.slice(dash + 1);
}

/** The distribution that a section's variables are taken from: its own one, else the only one that is wanted. */
export function distroOfVariables(id: string, { distros }: RepoVariables): string | undefined {
  const own = distroOfId(id);
  if (own !== null && (distros.includes(own) || DISTRO.test(own))) return own;
  return distros.length === 1 ? distros[0] : undefined;
}

/** Values of dnf's own variables, and of those that CentOS and its relatives put into /etc/dnf/vars. */
export function variablesOf(distro: string | undefined, arch = 'x86_64'): ReadonlyMap<string, string> {
  const values = new Map([
    ['arch', arch],
    ['basearch', baseArch(arch)],
  ]);
  const found = distro === undefined ? undefined : DISTRO.exec(distro)?.groups;
  const { family = '', version } = found ?? {};
  if (version === undefined) return values;
  const [major = '', minor] = version.split('.');
  values.set('releasever', version).set('releasever_major', major);
  if (minor !== undefined) values.set('releasever_minor', minor);
  if (!IS_ENTERPRISE.test(family)) return values;
  return values
    .set('infra', 'stock')
    .set('contentdir', family.toLowerCase().startsWith('rocky') ? 'pub/rocky' : 'centos')
    .set('stream', `${major}-stream`);
}

function baseArch(arch: string): string {
  if (arch === 'amd64') return 'x86_64';
  if (/^i[3-6]86$/.test(arch)) return 'i386';
  return /^armv[67]h/.test(arch) ? 'armhfp' : arch;
}

export interface Replaced {
  readonly text: string;
  /** As written: `$infra`, `${infra}`. */
  readonly unknown: readonly string[];
}

const VARIABLE = /\\(?<escaped>\$)|\$(?:\{(?<braced>\w+)(?::(?<sign>[+-])(?<word>[^{}]*))?\}|(?<bare>\w+))/g;

/**
 * Replaces `$name`, `${name}`, `${name:-default}` and `${name:+word}`, in which the name may be in any case, as in yum; `\$` is a plain
 * dollar. Unknown variables stay as they are.
 */
export function replaceVariables(text: string, values: ReadonlyMap<string, string>): Replaced {
  const unknown: string[] = [];
  const replaced = text.replace(VARIABLE, (whole: string, ...rest: unknown[]) => {
    const { escaped, braced, sign, word = '', bare = '' } = rest.at(-1) as Readonly<Record<string, string | undefined>>;
    if (escaped !== undefined) return escaped;
    const name = braced ?? bare;
    const value = values.get(name) ?? values.get(name.toLowerCase());
    if (sign === '-') return value ?? word;
    if (sign === '+') return value === undefined ? '' : word;
    if (value === undefined) unknown.push(whole);
    return value ?? whole;
  });
  return { text: replaced, unknown };
}
