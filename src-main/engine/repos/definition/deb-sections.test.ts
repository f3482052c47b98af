import { expect, test } from 'vitest';
import { formatIssue } from '../../../../src-shared/issue.ts';
import { parseRepoFile } from './parse.ts';
import type { DebSection } from './section.ts';
import { distroOfSuite } from './suites.ts';

function parse(text: string, file = 'x'): { readonly sections: readonly DebSection[]; readonly issues: readonly string[] } {
  const { sections, issues } = parseRepoFile(text, file, { distros: [] });
  return { sections: sections as readonly DebSection[], issues: issues.map(formatIssue) };
}

test('the one-line style', () => {
  const { sections, issues } = parse(`# deb http://off.example/ bookworm main
deb http://deb.example/debian bookworm main contrib # all of it
deb [ arch=amd64,arm64 signed-by=/k/a.gpg,/k/b.gpg trusted=yes lago-packages=nginx,curl lago-exclude=*-doc ] https://deb.example/debian bookworm-updates main
deb [lago-name=local] file:///srv/debs ./
`);
  expect(issues).toEqual([]);
  expect(sections).toMatchObject([
    {
      kind: 'deb',
      id: 'deb.example_debian_bookworm-debian12',
      name: 'http://deb.example/debian bookworm main contrib',
      line: 2,
      enabled: true,
      uri: 'http://deb.example/debian',
      suite: 'bookworm',
      components: ['main', 'contrib'],
      architectures: [],
      signedBy: [],
      trusted: false,
      packages: [],
      checkValidUntil: true,
    },
    {
      id: 'deb.example_debian_bookworm_updates-debian12',
      architectures: ['amd64', 'arm64'],
      signedBy: ['/k/a.gpg', '/k/b.gpg'],
      trusted: true,
      packages: ['nginx', 'curl'],
      excludes: ['*-doc'],
    },
    { id: 'local', uri: 'file:///srv/debs', suite: './', components: [] },
  ]);
});

test('the deb822 style: a section for each address and suite', () => {
  const { sections, issues } = parse(`Types: deb deb-src
URIs: http://deb.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEYCQjIxYJ
 -----END PGP PUBLIC KEY BLOCK-----
X-Lago-Packages: nginx,
 curl

# the second
Types: deb
URIs: http://sec.example/
Suites: stable
Components: main
Enabled: no
Check-Valid-Until: no
X-Lago-Name: security
X-Lago-Distro: debian13
X-Lago-Exclude: a b
`);
  expect(issues).toEqual(['x:1:1: info: Types: Source packages are not fetched; deb-src has no effect.']);
  expect(sections).toMatchObject([
    {
      id: 'deb.example_debian_bookworm-debian12',
      packages: ['nginx', 'curl'],
      signedBy: ['-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEYCQjIxYJ\n-----END PGP PUBLIC KEY BLOCK-----\n'],
    },
    { id: 'deb.example_debian_bookworm_updates-debian12' },
    { id: 'security-debian13', line: 14, enabled: false, checkValidUntil: false, excludes: ['a', 'b'] },
  ]);
});

test.each([
  ['rpm http://a/ b c', 'x.list:1:1: error: "rpm http://a/ b c" is no source. Write deb [OPTION=VALUE] URI SUITE COMPONENT.'],
  [
    'deb [arch=amd64 http://a.example b c',
    'x.list:1:1: error: The “]” after the options is missing. Write deb [OPTION=VALUE] URI SUITE COMPONENT.',
  ],
  ['deb', 'x.list:1:1: error: The entry has no URI. Add the address of the archive.'],
  ['deb http://a.example', 'x.list:1:1: error: The entry has no suite. Add the suite, such as bookworm.'],
  ['deb http://a.example b', 'x.list:1:1: error: suites: The suite "b" needs components. Add them, such as main, or end a path with “/”.'],
  [
    'deb http://a.example b/ c',
    'x.list:1:1: error: suites: The suite "b/" is a path, which has no components. Remove the components, or the “/” at its end.',
  ],
  ['deb http://a.example ../b/', 'x.list:1:1: error: suites: The suite "../b/" leads out of the archive.'],
  ['deb ftp://a.example b c', 'x.list:1:1: error: uris: "ftp://a.example" cannot be fetched: only http, https and file can.'],
  ['deb cdrom:[Debian]/ b c', 'x.list:1:1: warning: URIs: Packages on a CD are not fetched; the source has no effect.'],
  ['deb [trusted=perhaps] http://a.example b c', 'x.list:1:1: error: trusted: "perhaps" is neither yes nor no.'],
  ['deb [arhc=amd64] http://a.example b c', 'x.list:1:1: warning: arhc: Unknown field "arhc".'],
  ['deb [amd64] http://a.example b c', 'x.list:1:1: error: "amd64" is no option. Write OPTION=VALUE, without spaces around the “=”.'],
  ['deb [arch+=armel] http://a.example b c', 'x.list:1:1: warning: arch: arch is not supported and has no effect.'],
  ['deb [lang=de] http://a.example b c', 'x.list:1:1: info: lang: lang has no effect here.'],
  [
    'deb [lago-name=a/b] http://a.example b c',
    'x.list:1:1: error: a/b: "a/b" cannot be the id of a section. X-Lago-Name takes letters, digits, “-”, “_”, “.” and “:”.',
  ],
  [
    'deb http://a.example b c\ndeb http://a.example b d',
    'x.list:2:1: error: a.example_b: The source "a.example_b" is also in line 1. Remove one of the two, or name them with X-Lago-Name.',
  ],
  ['deb-src http://a.example b c', 'x.list:1:1: info: types: Source packages are not fetched; deb-src has no effect.'],
  ['', 'x.list: error: The file has no source. Write deb URI SUITE COMPONENT, or a stanza with Types: deb.'],
])('%j', (text, issue) => {
  expect(parse(text, 'x.list').issues).toEqual([issue]);
});

test.each([
  ['URIs: http://a.example\nSuites: b\nComponents: c', 'x.sources:1:1: error: The entry has no Types. Add Types: deb.'],
  ['Types: dep\nURIs: http://a.example\nSuites: b\nComponents: c', 'x.sources:1:1: error: Types: "dep" is no type of source. Write deb.'],
  [
    'Types: deb\nURIs: http://a.example\nSuites: b\nComponent: c d',
    'x.sources:4:1: warning: Component: Unknown field "Component". Did you mean components?',
  ],
  [
    'Types: deb\nnonsense\nURIs: http://a.example\nSuites: b\nComponents: c',
    'x.sources:2:1: error: "nonsense" is no field. Write FIELD: VALUE. A line that goes on with the value above begins with a space.',
  ],
  [
    'Types: deb\nTypes: deb\nURIs: http://a.example\nSuites: b\nComponents: c',
    'x.sources:2:1: warning: Types: Types is also in line 1; the last one counts. Remove one of the two.',
  ],
])('%j', (text, issue) => {
  expect(parse(text, 'x.sources').issues).toContain(issue);
});

test.each([
  ['[a]\nbaseurl=http://a.example', 'x.list', 'rpm'],
  ['deb http://a.example b c', 'x.repo', 'deb'],
  ['# words\n\nTypes: deb\nURIs: http://a.example\nSuites: b\nComponents: c', 'x', 'deb'],
])('the content says what a file is: %j in %s', (text, file, kind) => {
  expect(parseRepoFile(text, file, { distros: [] }).sections[0]?.kind).toBe(kind);
});

test.each([
  ['bookworm', 'debian12'],
  ['bookworm-security', 'debian12'],
  ['buster/updates', 'debian10'],
  ['bookworm-pgdg', 'debian12'],
  ['noble-updates', 'ubuntu24.04'],
  ['debian12', 'debian12'],
  ['stable', undefined],
  ['./', undefined],
  ['constructor', undefined],
])('suite %s is for %s', (suite, distro) => {
  expect(distroOfSuite(suite)).toBe(distro);
});
