import type { Checksum } from '../fetch/checksum.ts';
import type { Evr } from './version.ts';

/** A package as the metadata of its repository describes it. */
export interface RpmPackage extends Evr {
  readonly name: string;
  readonly arch: string;
  /** Its identity in all metadata of the repository: the digits of its checksum. */
  readonly id: string;
  readonly checksum: Checksum;
  /** Bytes of the file. */
  readonly size: number;
  /** Where it is below the repository. Relative, and never above it. */
  readonly location: string;
  /** Of another server, where the repository has it elsewhere. */
  readonly base: string | undefined;
}

/** The full name with its epoch, as modules list them: `bash-0:5.1-2.el9.x86_64`. */
export function nevraOf({ name, epoch, version, release, arch }: RpmPackage): string {
  return `${name}-${epoch}:${version}-${release}.${arch}`;
}

/** As people read it: without an epoch of zero. */
export function shownPackage({ name, epoch, version, release, arch }: RpmPackage): string {
  return `${name}-${epoch === '0' ? '' : `${epoch}:`}${version}-${release}.${arch}`;
}
