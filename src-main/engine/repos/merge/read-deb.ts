import { stat } from 'node:fs/promises';
import { run } from '../../core/run.ts';
import type { PackageFile } from './package-file.ts';
import { NotAPackage } from './read-rpm.ts';

/** Name and version of a Debian package, by dpkg-deb, which knows every compression. Throws `NotAPackage`; `host.missing-tool` without it. */
export async function readDeb(path: string, signal: AbortSignal | undefined): Promise<PackageFile> {
  const { size } = await stat(path);
  const result = await run(['dpkg-deb', '--field', path, 'Package', 'Version', 'Architecture'], { signal });
  if (result.code !== 0)
    throw new NotAPackage(
      result.stderr
        .trim()
        .split('\n')
        .at(-1)
        ?.replace(/^dpkg-deb: error: /, '') ?? 'it is damaged',
    );
  const field = (name: string): string => {
    const value = new RegExp(`^${name}: *(\\S+)$`, 'm').exec(result.stdout)?.[1];
    if (value === undefined) throw new NotAPackage(`it does not say its ${name.toLowerCase()}`);
    return value;
  };
  const [, epoch = '0', upstream = '', revision = ''] = /^(?:(\d+):)?(.*?)(?:-([^-]*))?$/.exec(field('Version')) ?? [];
  const version = { epoch: String(Number(epoch)), version: upstream, release: revision };
  return { kind: 'deb', path, size, name: field('Package'), version, arch: field('Architecture') };
}
