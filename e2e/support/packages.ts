import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Builds a Debian package (for all architectures) with one file, `/opt/NAME`, and returns its path. */
export function buildDeb(folder: string, name: string, version: string): string {
  const tree = join(folder, `.${name}-${version}`);
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
  mkdirSync(join(tree, 'opt'));
  writeFileSync(join(tree, 'opt', name), `${version}\n`);
  writeFileSync(
    join(tree, 'DEBIAN/control'),
    `Package: ${name}\nVersion: ${version}\nArchitecture: all\nMaintainer: Test <test@example.com>\nDescription: test\n`,
  );
  const path = join(folder, `${name}_${version}_all.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zgzip', '--build', tree, path]);
  return path;
}

/** Builds an rpm package (noarch) with one file, `/opt/NAME`. */
export function buildRpm(folder: string, name: string, version: string, release: string): void {
  const work = join(folder, `.${name}-${version}-${release}`);
  mkdirSync(work, { recursive: true });
  const spec = join(work, 'package.spec');
  const header = `Name: ${name}\nVersion: ${version}\nRelease: ${release}\nSummary: test\nLicense: MIT\nBuildArch: noarch\n`;
  const install = `mkdir -p %{buildroot}/opt\necho ${version} > %{buildroot}/opt/${name}\n`;
  writeFileSync(spec, `${header}%description\ntest\n%install\n${install}%files\n/opt/${name}\n`);
  execFileSync('rpmbuild', ['--quiet', '--define', `_topdir ${work}`, '--define', `_rpmdir ${folder}`, '-bb', spec], { stdio: 'pipe' });
}

/** Lets apt, in folders of its own, update from a source and download a package into `folder`; `enter` is what goes before a command. */
export function aptDownload(enter: readonly string[], folder: string, source: string, name: string): void {
  for (const path of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(folder, path), { recursive: true });
  const list = join(folder, 'sources.list');
  writeFileSync(list, `${source}\n`);
  const places = {
    'Dir::Etc::sourcelist': list,
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::Cache': join(folder, 'cache'),
    'APT::Sandbox::User': 'root',
  };
  const options = Object.entries(places).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  for (const argv of [
    ['update', '--error-on=any'],
    ['download', name],
  ]) {
    const [program = '', ...rest] = [...enter, 'env', '-C', folder, 'apt-get', ...options, ...argv];
    execFileSync(program, rest, { stdio: 'pipe' });
  }
}

/** Words before a command that run it in the network of an environment, with the files of this machine. */
export function insideNetwork(prefix: string): readonly string[] {
  const runtime = readFileSync(join(prefix, 'host/cell'), 'utf8').trim().split(' ')[3] ?? '';
  const [pid = ''] = readFileSync(join(runtime, 'host'), 'utf8').split(' ');
  return ['nsenter', '--target', pid, '--net', '--'];
}
