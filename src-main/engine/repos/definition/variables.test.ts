import { expect, test } from 'vitest';
import { distroOfId, distroOfVariables, replaceVariables, variablesOf } from './variables.ts';

test.each([
  ['ovirt-4.3-tested-el7', 'el7'],
  ['centos-base-7.6-el7', 'el7'],
  ['lago', null],
  ['el7', null],
  ['lago-', ''],
])('%s is for %s', (id, distro) => {
  expect(distroOfId(id)).toBe(distro);
});

test.each([
  ['el7', '7'],
  ['el7.6', '7.6'],
  ['el9', '9'],
  ['el8stream', '8'],
  ['c9s', '9'],
  ['centos8', '8'],
  ['rocky9', '9'],
  ['fc25', '25'],
  ['f41', '41'],
  ['fcrawhide', 'rawhide'],
  ['opensuse15.6', '15.6'],
  ['fedora', undefined],
  ['v2', undefined],
  [undefined, undefined],
])('$releasever of %s is %s', (distro, releasever) => {
  expect(variablesOf(distro).get('releasever')).toBe(releasever);
});

test.each([
  ['x86_64', 'x86_64'],
  ['amd64', 'x86_64'],
  ['i686', 'i386'],
  ['aarch64', 'aarch64'],
  ['armv7hl', 'armhfp'],
])('$basearch of %s is %s', (arch, basearch) => {
  expect(variablesOf('el7', arch).get('basearch')).toBe(basearch);
});

test('a section’s own distribution counts before the only one that is wanted', () => {
  expect(distroOfVariables('a-el6', { distros: ['el7'] })).toBe('el6');
  expect(distroOfVariables('a-mine', { distros: ['mine', 'el7'] })).toBe('mine');
  expect(distroOfVariables('ci-tools', { distros: ['el7'] })).toBe('el7');
  expect(distroOfVariables('ci-tools', { distros: ['el7', 'el6'] })).toBeUndefined();
});

test.each([
  ['el$releasever/$basearch', 'el8.4/x86_64', []],
  ['${releasever_major}.${releasever_minor}', '8.4', []],
  ['$RELEASEVER/$contentdir/$stream', '8.4/centos/8-stream', []],
  ['\\$releasever', '$releasever', []],
  ['${none:-else}${releasever:-else}', 'else8.4', []],
  ['${none:+more}${releasever:+more}', 'more', []],
  ['$uuid/${none}/$basearchx', '$uuid/${none}/$basearchx', ['$uuid', '${none}', '$basearchx']],
  ['100$ ${ $', '100$ ${ $', []],
])('%s', (text, replaced, unknown) => {
  expect(replaceVariables(text, variablesOf('el8.4'))).toEqual({ text: replaced, unknown });
});
