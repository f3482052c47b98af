import { MAX_PACKAGE_CHANGES, type PackageChange } from '../../../../src-shared/snapshot/changes.ts';

/** Versions of installed packages by name; several versions of one are joined, as of kernels that are installed beside each other. */
export type Packages = ReadonlyMap<string, string>;

/** Where dpkg keeps what is installed. */
export const DPKG_STATUS = '/var/lib/dpkg/status';
/** Names and versions come from a guest: longer ones are cut. */
const MAX_TEXT = 200;

/** The installed packages of a dpkg status file. */
export function dpkgPackages(status: string): Packages {
  const found: Installed[] = [];
  for (const paragraph of status.split(/\n\s*\n/)) {
    const field = (name: string): string | undefined => new RegExp(`^${name}: *(.*)$`, 'm').exec(paragraph)?.[1]?.trim();
    const [name, version, state] = [field('Package'), field('Version'), field('Status')];
    if (name === undefined || version === undefined || state?.endsWith(' installed') !== true) continue;
    found.push({ name, version, architecture: field('Architecture') ?? '' });
  }
  return byName(found);
}

/** The installed packages as lines `NAME VERSION ARCHITECTURE`, which `rpm -qa` was asked for. */
export function rpmPackages(lines: string): Packages {
  const found = lines.split('\n').flatMap((line): Installed[] => {
    const [name, version, architecture = ''] = line.trim().split(/\s+/);
    // Keys are kept like packages.
    return name === undefined || version === undefined || name === 'gpg-pubkey' ? [] : [{ name, version, architecture }];
  });
  return byName(found);
}

interface Installed {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
}

/** A name is followed by the architecture only where it is installed for several. */
function byName(installed: readonly Installed[]): Packages {
  const architectures = new Map<string, Set<string>>();
  for (const { name, architecture } of installed) architectures.set(name, (architectures.get(name) ?? new Set()).add(architecture));
  const versions = new Map<string, string[]>();
  for (const { name, version, architecture } of installed) {
    const key = ((architectures.get(name)?.size ?? 0) > 1 ? `${name}:${architecture}` : name).slice(0, MAX_TEXT);
    versions.set(key, [...(versions.get(key) ?? []), version.slice(0, MAX_TEXT)]);
  }
  return new Map([...versions].map(([name, all]) => [name, all.sort().join(', ')]));
}

/** Packages that were added, removed or have another version, sorted by name. */
export function comparePackages(before: Packages, after: Packages): PackageChange[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  const changes = names.map((name) => ({ name, before: before.get(name) ?? null, after: after.get(name) ?? null }));
  return changes.filter((change) => change.before !== change.after).slice(0, MAX_PACKAGE_CHANGES);
}
