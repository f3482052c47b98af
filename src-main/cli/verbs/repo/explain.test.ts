import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RealOutcome, realCommand } from '../../real-command.test-support.ts';

const FILE = `[main]
reposdir=/etc/reposync.repos.d

[tested-el7]
name=Tested
baseurl=http://repo.example/el$releasever/
exclude=*-debuginfo
\tguest-agent

[base-fc25]
baseurl=http://mirror.example/$releasever/

[tools]
baseurl=http://tools.example/
`;

const INIT = `domains:
  one:
    distro: el7
    memory: 64
    nics: [{net: lan}]
    disks: [{name: root, type: empty, dev: vda, size: 1M}]
nets:
  lan: {type: nat, dhcp: {start: 100, end: 254}}
`;

let cwd: string;
beforeAll(() => {
  cwd = realpathSync(mkdtempSync(join(tmpdir(), 'lago-repo-')));
  writeFileSync(join(cwd, 'a.repo'), FILE);
  writeFileSync(join(cwd, 'wrong.repo'), '[a-el7]\nbaseurl=http://a.example/\nenabled=perhaps\n');
  writeFileSync(join(cwd, 'b.list'), 'deb http://deb.example/debian bookworm main\n');
});
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const explain = async (...argv: readonly string[]): Promise<RealOutcome> => await realCommand(cwd, ['repo', 'explain', ...argv]);

async function asJson(
  ...argv: readonly string[]
): Promise<{ readonly code: number; readonly sections: readonly Record<string, unknown>[] }> {
  const { code, out } = await explain('--out-format', 'json', ...argv);
  return { code, sections: (JSON.parse(out) as { sections: Record<string, unknown>[] }).sections };
}

it('prints JSON in the documented form, which the page shows', async () => {
  const { code, out, err } = await explain('--distro', 'el7', '--out-format', 'json', 'a.repo');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(JSON.parse(out)).toEqual({
    sections: [
      {
        id: 'tested-el7',
        used: true,
        distro: 'el7',
        reason: 'Its id ends in “-el7”, which is a distribution of the VMs.',
        baseurl: ['http://repo.example/el7/'],
        excludes: ['*-debuginfo', 'guest-agent'],
      },
      {
        id: 'base-fc25',
        used: false,
        distro: 'fc25',
        reason: 'Its id ends in “-fc25”, but the distribution of the VMs is el7.',
        baseurl: ['http://mirror.example/25/'],
        excludes: [],
      },
      {
        id: 'tools',
        used: false,
        distro: null,
        reason: 'Its id does not end in “-DISTRO”, so it is used only if it is chosen by its id.',
        baseurl: ['http://tools.example/'],
        excludes: [],
      },
    ],
    issues: [
      {
        file: join(cwd, 'a.repo'),
        line: 2,
        column: 1,
        path: 'main.reposdir',
        severity: 'info',
        message: 'reposdir is ignored. Only this file is read; name further ones beside it.',
      },
    ],
  });
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/package-repos.md'), 'utf8');
  const [, shownFile] = /```ini\n([^]*?)```/.exec(page) ?? [];
  const [, shownJson] = /```json\n([^]*?)```/.exec(page) ?? [];
  writeFileSync(join(cwd, 'reposync-config.repo'), shownFile ?? '');
  const shown = await explain('--distro', 'el9', '--out-format', 'json', 'reposync-config.repo');
  expect(shown.out.replaceAll(`${cwd}/`, '')).toBe(shownJson);
});

it('prints text for people, with the issues on stderr', async () => {
  const { code, out, err } = await explain('--distro', 'el7', 'a.repo', 'b.list');
  expect(code).toBe(0);
  expect(out).toBe(`+ tested-el7: Its id ends in “-el7”, which is a distribution of the VMs.
    http://repo.example/el7/
    without *-debuginfo guest-agent
- base-fc25: Its id ends in “-fc25”, but the distribution of the VMs is el7.
    http://mirror.example/25/
- tools: Its id does not end in “-DISTRO”, so it is used only if it is chosen by its id.
    http://tools.example/
- deb.example_debian_bookworm-debian12: Its id ends in “-debian12”, but the distribution of the VMs is el7.
    http://deb.example/debian
`);
  expect(err).toContain(`${cwd}/a.repo:2:1: info: main.reposdir: reposdir is ignored.`);
});

it.each(['default', 'flat', 'json', 'yaml'])('in the format %s an error is exit code 2, and the sections are there', async (format) => {
  const { code, out } = await explain('--out-format', format, '--distro', 'el7', 'wrong.repo');
  expect(code).toBe(2);
  expect(out).toContain('a-el7');
});

it('outside of an environment no distribution is known, and a choice by id needs none', async () => {
  const { code, sections } = await asJson('a.repo');
  expect(code).toBe(0);
  expect(sections.map((section) => section['used'])).toEqual([false, false, false]);
  const chosen = await asJson('--section', 'tools', 'a.repo');
  expect(chosen.sections.filter((section) => section['used']).map((section) => section['id'])).toEqual(['tools']);
});

it('says when a chosen section is in no file, and when a file names one twice', async () => {
  const { code, err } = await explain('--section', 'tested-el6', 'a.repo');
  expect(code).toBe(2);
  expect(err).toContain('a.repo: error: There is no section tested-el6. Did you mean tested-el7?');
  writeFileSync(join(cwd, 'c.repo'), '[tools]\nbaseurl=http://c.example/\n');
  const twice = await explain('a.repo', 'c.repo');
  expect(twice.err).toContain(`c.repo:1:1: warning: tools: The section tools is also in ${cwd}/a.repo, line 13; only that one counts.`);
  expect(twice.out).not.toContain('c.example');
});

it('in an environment: its VMs’ distributions, and the files and the choice of its init file', async () => {
  writeFileSync(join(cwd, 'LagoInitFile'), `${INIT}repos:\n  file: a.repo\n`);
  expect(await realCommand(cwd, ['init'])).toMatchObject({ code: 0 });
  expect((await asJson()).sections.map((section) => section['used'])).toEqual([true, false, false]);
  expect((await asJson('wrong.repo')).sections).toMatchObject([{ id: 'a-el7', used: true }]);
  writeFileSync(join(cwd, 'LagoInitFile'), `${INIT}repos:\n  file: [a.repo, b.list]\n  sections: [tools]\n`);
  expect(await realCommand(cwd, ['--prefix-name', 'second', 'init'])).toMatchObject({ code: 0 });
  const chosen = await asJson('--prefix-name', 'second');
  expect(chosen.sections.map((section) => [section['id'], section['used']])).toEqual([
    ['tested-el7', false],
    ['base-fc25', false],
    ['tools', true],
    ['deb.example_debian_bookworm-debian12', false],
  ]);
  for (const name of ['default', 'second']) await realCommand(cwd, ['--prefix-name', name, 'destroy', '--yes']);
});

it('needs a file', async () => {
  const { code, out, err } = await explain('--distro', 'el7');
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain('No file of package repositories was named.');
  expect((await explain('none.repo')).err).toContain('Unable to find repository file:');
  const configured = await realCommand(cwd, ['--reposync-config', join(cwd, 'b.list'), 'repo', 'explain']);
  expect(configured.out).toContain('deb.example_debian_bookworm-debian12');
});
