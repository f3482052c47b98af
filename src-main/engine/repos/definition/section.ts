import { quote } from '../../../../src-shared/init-file/name-rules.ts';

/**
 * A package repository as a file defines it: one section of a .repo file (dnf.conf(5), "Repo Options"), or one source of apt
 * (sources.list(5)). Plain values; variables such as `$releasever` are replaced already where they are known.
 */
export type RepoSection = RpmSection | DebSection;

interface SectionBase {
  /** The section's name, for apt sources a name made of their address and suite. Unique in its file; also the name of its folder. */
  readonly id: string;
  /** What people read; the id where the file says nothing. */
  readonly name: string;
  readonly file: string;
  /** Counts from 1. */
  readonly line: number;
  readonly enabled: boolean;
  /** At most this many packages at once from one server. */
  readonly maxConnections: number;
  readonly connection: ConnectionOptions;
}

/** How its servers are reached. */
export interface ConnectionOptions {
  /** `none`: not even the one of the environment (`proxy=_none_`). Absent: what http_proxy and its like say. */
  readonly proxy?: string | 'none';
  readonly proxyUsername?: string;
  readonly proxyPassword?: string;
  readonly username?: string;
  readonly password?: string;
  readonly sslVerify: boolean;
  /** Paths of PEM files. */
  readonly sslCaCert?: string;
  readonly sslClientCert?: string;
  readonly sslClientKey?: string;
  readonly ipVersion?: 4 | 6;
  /** Seconds without a byte after which a connection counts as dropped. */
  readonly timeout?: number;
  /** Attempts per file. */
  readonly retries?: number;
  readonly userAgent?: string;
}

export interface RpmSection extends SectionBase {
  readonly kind: 'rpm';
  /** Mirrors of the same content, tried in this order. */
  readonly baseurls: readonly string[];
  readonly mirrorlist?: string;
  readonly metalink?: string;
  /** Patterns of package names (`fnmatch`, of NAME, NAME.ARCH or NAME-VERSION-RELEASE.ARCH) that are left out. */
  readonly excludes: readonly string[];
  /** When not empty, nothing but these; `excludes` are taken off. */
  readonly includes: readonly string[];
  /** Check the signature of each package, and of the metadata (repomd.xml.asc), with `gpgKeys`. */
  readonly gpgCheck: boolean;
  readonly repoGpgCheck: boolean;
  /** URLs or paths of public keys. */
  readonly gpgKeys: readonly string[];
  /** Lower comes first when mirrors or repositories are equal (default 1000). */
  readonly cost: number;
  /** Lower wins over all versions of repositories with a higher one (default 99). */
  readonly priority: number;
  /** Modular filtering does not apply to this repository. */
  readonly moduleHotfixes: boolean;
  readonly skipIfUnavailable: boolean;
}

export interface DebSection extends SectionBase {
  readonly kind: 'deb';
  readonly uri: string;
  /** `bookworm`, or a path that ends in `/` (then there are no components). */
  readonly suite: string;
  readonly components: readonly string[];
  /** Empty: amd64. Packages for all architectures come with each. */
  readonly architectures: readonly string[];
  /** Paths of keyrings, an armoured key, and fingerprints of the keys that count. Without keys: the keyrings of this machine. */
  readonly signedBy: readonly string[];
  /** Signatures are not asked for (`[trusted=yes]`). */
  readonly trusted: boolean;
  /** When not empty: only these packages and what they depend on. */
  readonly packages: readonly string[];
  readonly excludes: readonly string[];
  /** A Release file that is too old by its own `Valid-Until` is refused; archives of old distributions switch that off. */
  readonly checkValidUntil: boolean;
}

/** What is wrong with a section's name, which is also that of a folder; undefined when it may be one. */
export function idProblem(id: string): string | undefined {
  if (id.length > 200) return `The id of a section has at most 200 characters; this one has ${id.length}.`;
  if (/^[A-Za-z0-9_:-][A-Za-z0-9_.:-]*$/.test(id)) return undefined;
  return `${quote(id)} cannot be the id of a section.`;
}
