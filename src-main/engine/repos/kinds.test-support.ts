import { archiveFiles, debPackage, debSection } from './deb/archive.test-support.ts';
import type { RepoSection } from './definition/section.ts';
import { repositoryOf, rpmPackage, rpmSection } from './rpm/repository.test-support.ts';

/** A package. */
export interface Made {
  /** Below the repository. */
  readonly path: string;
  readonly content: Buffer;
}

/** A kind of repository, for tests that are the same for each. */
export interface Kind<P extends Made> {
  readonly kind: string;
  make(name: string, version: string, size: number): P;
  serve(packages: readonly P[]): ReadonlyMap<string, Buffer>;
  /** Its id is `tiny`. */
  section(url: string): RepoSection;
  /** What is asked for when nothing has changed. */
  readonly index: string;
}

const connection = { sslVerify: true, retries: 3 };

export const RPM: Kind<Made & ReturnType<typeof rpmPackage>> = {
  kind: 'rpm',
  make(name, version, size) {
    const made = rpmPackage(name, version, '1', 'noarch', '0', size);
    return { ...made, path: made.location };
  },
  serve: repositoryOf,
  section: (url) => rpmSection(url, { id: 'tiny', connection }),
  index: 'repodata/repomd.xml',
};

export const DEB: Kind<ReturnType<typeof debPackage>> = {
  kind: 'deb',
  make: (name, version, size) => debPackage(name, version, '', 'amd64', size),
  serve(packages) {
    const files = archiveFiles(packages);
    return new Map([...files, ['dists/test/InRelease', files.get('dists/test/Release') ?? Buffer.alloc(0)]]);
  },
  section: (url) => debSection(url, { id: 'tiny', connection }),
  index: 'dists/test/InRelease',
};
