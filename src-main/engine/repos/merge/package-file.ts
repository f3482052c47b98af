import type { Version } from './compare-versions.ts';

/** A package in a file. */
export interface PackageFile {
  readonly kind: 'rpm' | 'deb';
  /** Absolute path. */
  readonly path: string;
  readonly name: string;
  readonly version: Version;
  readonly arch: string;
  readonly size: number;
}

/** Name and version as people write them: `vdsm-4.20.1-1.el7.x86_64`, `vdsm_4.20.1-1_amd64`. */
export function fullName({ kind, name, version: { epoch, version, release }, arch }: PackageFile): string {
  const before = epoch === 0 ? '' : `${epoch}:`;
  if (kind === 'rpm') return `${name}-${before}${version}-${release}.${arch}`;
  return `${name}_${before}${version}${release === '' ? '' : `-${release}`}_${arch}`;
}

/** Its name in a repository, which does not depend on what the file was called. */
export function repositoryName({ kind, name, version: { epoch, version, release }, arch }: PackageFile): string {
  if (kind === 'rpm') return `${name}-${version}-${release}.${arch}.rpm`;
  return `${name}_${epoch === 0 ? '' : `${epoch}%3a`}${version}${release === '' ? '' : `-${release}`}_${arch}.deb`;
}

/** What rpm and dpkg allow in names and versions; a package with others could lead elsewhere. */
const ORDINARY = /^[A-Za-z0-9_][A-Za-z0-9+._~^-]*$/;

export function isOrdinary({ name, version: { version, release }, arch }: PackageFile): boolean {
  return [name, version, arch].every((text) => ORDINARY.test(text)) && /^[A-Za-z0-9+._~^]*$/.test(release);
}
