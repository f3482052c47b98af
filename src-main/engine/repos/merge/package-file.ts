import type { Evr } from '../rpm/version.ts';

/** A package in a file. */
export interface PackageFile {
  readonly kind: 'rpm' | 'deb';
  /** Absolute path. */
  readonly path: string;
  readonly name: string;
  /** Of a Debian package, the release is its revision, empty where it has none. */
  readonly version: Evr;
  readonly arch: string;
  readonly size: number;
  /** `NAME:STREAM` of the module that it belongs to. */
  readonly stream?: string | undefined;
}

/** Why a file is no package, or a damaged one. */
export class NotAPackage extends Error {}

/** Name and version as people write them: `vdsm-4.20.1-1.el7.x86_64`, `vdsm_4.20.1-1_amd64`. */
export function fullName(file: PackageFile): string {
  const { kind, name, arch } = file;
  return kind === 'deb' ? `${name}_${versionText(file)}_${arch}` : `${name}-${versionText(file)}.${arch}`;
}

/** The version as people write it, with epoch and release. */
export function versionText(file: PackageFile): string {
  if (file.kind === 'deb') return debVersion(file);
  const { epoch, version, release } = file.version;
  return `${epoch === '0' ? '' : `${epoch}:`}${version}-${release}`;
}

/** The version of a Debian package as dpkg writes it. */
export function debVersion({ version: { epoch, version, release } }: PackageFile): string {
  return `${epoch === '0' ? '' : `${epoch}:`}${version}${release === '' ? '' : `-${release}`}`;
}

/** Its name in a repository, which does not depend on what the file was called. */
export function repositoryName(file: PackageFile): string {
  const { kind, name, version, arch } = file;
  if (kind === 'rpm') return `${name}-${version.version}-${version.release}.${arch}.rpm`;
  return `${name}_${debVersion(file).replace(':', '%3a')}_${arch}.deb`;
}

/** What rpm and dpkg allow in names and versions; a package with others could lead elsewhere. */
const ORDINARY = /^[A-Za-z0-9_][A-Za-z0-9+._~^-]*$/;

export function isOrdinary({ name, version: { version, release }, arch }: PackageFile): boolean {
  return [name, version, arch].every((text) => ORDINARY.test(text)) && /^[A-Za-z0-9+._~^]*$/.test(release);
}
