import { expect, test } from 'vitest';
import { chooseSections, unknownSections } from './choose.ts';
import { parseRepoFile } from './parse.ts';

const { sections } = parseRepoFile(
  ['a-el7', 'b-fc25', 'lago', 'off-el7'].map((id) => `[${id}]\nbaseurl=http://a.example\nenabled=${id === 'off-el7' ? 0 : 1}\n`).join(''),
  'x.repo',
  { distros: [] },
);

function chosen(distros: readonly string[], selection?: readonly string[]): readonly string[] {
  return chooseSections(sections, distros, selection).map(
    ({ section, used, distro, reason }) => `${section.id} ${distro} ${used}: ${reason}`,
  );
}

test('by Lago’s rule', () => {
  expect(chosen(['el7'])).toEqual([
    'a-el7 el7 true: Its id ends in “-el7”, which is a distribution of the VMs.',
    'b-fc25 fc25 false: Its id ends in “-fc25”, but the distribution of the VMs is el7.',
    'lago null false: Its id does not end in “-DISTRO”, so it is used only if it is chosen by its id.',
    'off-el7 el7 true: Its id ends in “-el7”, which is a distribution of the VMs; that its file switches it off counts only for dnf.',
  ]);
  expect(chosen(['el7', 'fc25'])[1]).toContain('true');
  expect(chosen(['el6', 'el9'])[0]).toBe('a-el7 el7 false: Its id ends in “-el7”, but the distributions of the VMs are el6, el9.');
  expect(chosen([])[0]).toBe('a-el7 el7 false: Its id ends in “-el7”, but no distribution of a VM is known.');
});

test('by explicit choice, whatever the distributions are', () => {
  expect(chosen(['el7'], ['lago', 'off-el7'])).toEqual([
    'a-el7 el7 false: Others were chosen by their ids.',
    'b-fc25 fc25 false: Others were chosen by their ids.',
    'lago null true: It was chosen by its id.',
    'off-el7 el7 true: It was chosen by its id, although its file switches it off.',
  ]);
});

test('a chosen id that no section has', () => {
  expect(unknownSections(sections, ['a-el7', 'b-fc24', 'quite-other'])).toEqual([
    { id: 'b-fc24', meant: 'b-fc25' },
    { id: 'quite-other', meant: undefined },
  ]);
});

test('sources of apt that are switched off are not used, unless they are chosen', () => {
  const text = 'Types: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main\nX-Lago-Name: own-debian12\nEnabled: no\n';
  const { sections: off } = parseRepoFile(text, 'x.sources', { distros: [] });
  expect(chooseSections(off, ['debian12'])).toMatchObject([{ used: false, reason: expect.stringContaining('switches it off') as string }]);
  expect(chooseSections(off, [], ['own-debian12'])).toMatchObject([{ used: true }]);
});
