import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runChecked } from '../../core/run.ts';

/** What a package for tests is. */
export interface TestPackage {
  readonly name: string;
  readonly version: string;
  /** The rpm release, or the Debian revision. */
  readonly release: string;
  readonly epoch?: number;
  /** Text of its only file, `/opt/NAME`. */
  readonly content?: string;
  /** Of a Debian package; default: gzip. */
  readonly compression?: 'none' | 'gzip' | 'xz' | 'zstd';
}

/** Builds rpm packages (noarch) in `folder` by one run of rpmbuild; returns their paths, which are made of their names. */
export async function buildRpms(folder: string, packages: readonly TestPackage[]): Promise<readonly string[]> {
  const top = join(folder, '.rpmbuild');
  return await Promise.all(
    packages.map(async ({ name, version, release, epoch, content = version }, at) => {
      const work = join(top, `${at}`);
      mkdirSync(work, { recursive: true });
      const spec = join(work, 'package.spec');
      const lines = [
        `Name: ${name}`,
        `Version: ${version}`,
        `Release: ${release}`,
        ...(epoch === undefined ? [] : [`Epoch: ${epoch}`]),
        'Summary: test',
        'License: MIT',
        'BuildArch: noarch',
        '%description',
        'test',
        '%install',
        'mkdir -p %{buildroot}/opt',
        `echo '${content}' > %{buildroot}/opt/${name}`,
        '%files',
        `/opt/${name}`,
      ];
      writeFileSync(spec, `${lines.join('\n')}\n`);
      const defines = { _topdir: work, _rpmdir: folder, _rpmfilename: '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm' };
      const options = Object.entries(defines).flatMap(([key, value]) => ['--define', `${key} ${value}`]);
      await runChecked(['rpmbuild', '--quiet', ...options, '-bb', spec], 'No rpm was built.');
      return join(folder, `${name}-${version}-${release}.noarch.rpm`);
    }),
  );
}

/** Builds Debian packages (for all architectures) in `folder`; returns their paths. */
export async function buildDebs(folder: string, packages: readonly TestPackage[]): Promise<readonly string[]> {
  return await Promise.all(
    packages.map(async ({ name, version, release, epoch, content = version, compression = 'gzip' }) => {
      const full = `${epoch === undefined ? '' : `${epoch}:`}${version}${release === '' ? '' : `-${release}`}`;
      const path = join(folder, `${name}_${full.replace(':', '%3a')}_all.deb`);
      const tree = join(folder, `.${basename(path)}`);
      mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
      mkdirSync(join(tree, 'opt'));
      writeFileSync(join(tree, 'opt', name), `${content}\n`);
      const fields = { Package: name, Version: full, Architecture: 'all', Maintainer: 'Test <test@example.com>', Description: 'test' };
      writeFileSync(
        join(tree, 'DEBIAN/control'),
        Object.entries(fields)
          .map(([key, value]) => `${key}: ${value}\n`)
          .join(''),
      );
      await runChecked(['dpkg-deb', '--root-owner-group', `-Z${compression}`, '--build', tree, path], 'No deb was built.');
      return path;
    }),
  );
}
