import type { PackageFile } from './package-file.ts';

/** `el7` of `1.el7.centos.x`, `el8` of `2.module+el8.4.0`, `fc39` of `3.fc39`: where a package was built for. */
const RELEASE_TAG = /(?:^|[.+_~^-])((?:el|fc)\d+)(?=$|[^\da-z])/i;
/** `deb12` of `1+deb12u3`, `ubuntu22.04` of `2~ubuntu22.04.1`: the version says it where a package was built anew for a release. */
const DEBIAN_TAG = /[+~](deb\d+)u\d+|[+~](ubuntu\d+\.\d+)/;

const RPM_DISTRO = /^(el|fc|rhel|centos|fedora|rocky|alma|ol\d|oracle|amzn|suse|opensuse|sles|leap|cos|ubi)/i;
const DEB_DISTRO = /^(deb|debian|ubuntu|buster|bullseye|bookworm|trixie|forky|sid|bionic|focal|jammy|noble|mint|raspbian)/i;

/** The distribution that a package names in its release; undefined for one that fits all. */
export function builtFor({ kind, version: { version, release } }: PackageFile): string | undefined {
  if (kind === 'rpm') return RELEASE_TAG.exec(release)?.[1]?.toLowerCase();
  const match = DEBIAN_TAG.exec(`${version}-${release}`);
  return match?.[1]?.replace('deb', 'debian') ?? match?.[2];
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Whether a distribution can have a repository, which is a folder of that name. */
export function isDistroName(distro: string): boolean {
  return NAME.test(distro);
}

/** Distributions whose names say that they use packages of another kind get none of this one. */
export function takesKind(distro: string, kind: PackageFile['kind']): boolean {
  return kind === 'rpm' ? !DEB_DISTRO.test(distro) : !RPM_DISTRO.test(distro);
}

const OF_DEBIAN: Readonly<Record<string, string>> = {
  buster: 'debian10',
  bullseye: 'debian11',
  bookworm: 'debian12',
  trixie: 'debian13',
  bionic: 'ubuntu18.04',
  focal: 'ubuntu20.04',
  jammy: 'ubuntu22.04',
  noble: 'ubuntu24.04',
};

/**
 * Which of the wanted distributions a package goes to: the one it was built for; without such a tag all that use packages of its kind, as
 * repoman's `on_wrong_distro=copy_to_all` does.
 */
export function distrosOf(one: PackageFile, wanted: readonly string[]): readonly string[] {
  const tag = builtFor(one);
  const fitting = wanted.filter((distro) => takesKind(distro, one.kind));
  if (tag === undefined) return fitting;
  return fitting.filter((distro) => {
    const name = distro.toLowerCase();
    return name === tag || OF_DEBIAN[name] === tag;
  });
}
