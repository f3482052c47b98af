/** Code names of Debian and Ubuntu, and the distributions that templates and init files call by number. */
const SUITES: Readonly<Record<string, string>> = {
  wheezy: 'debian7',
  jessie: 'debian8',
  stretch: 'debian9',
  buster: 'debian10',
  bullseye: 'debian11',
  bookworm: 'debian12',
  trixie: 'debian13',
  forky: 'debian14',
  duke: 'debian15',
  sid: 'debiansid',
  unstable: 'debiansid',
  trusty: 'ubuntu14.04',
  xenial: 'ubuntu16.04',
  bionic: 'ubuntu18.04',
  focal: 'ubuntu20.04',
  jammy: 'ubuntu22.04',
  noble: 'ubuntu24.04',
  plucky: 'ubuntu25.04',
  questing: 'ubuntu25.10',
  resolute: 'ubuntu26.04',
};

/**
 * The distribution that a suite is for: `bookworm`, `bookworm-updates`, `buster/updates` and `debian12` are for Debian 12. Undefined for
 * suites that move from one to the next (`stable`) and for all others.
 */
export function distroOfSuite(suite: string): string | undefined {
  const name = (/^[^-/]+/.exec(suite)?.[0] ?? '').toLowerCase();
  if (/^(?:debian|ubuntu)\d+(?:\.\d+)?$/.test(name)) return name;
  return Object.hasOwn(SUITES, name) ? SUITES[name] : undefined;
}
