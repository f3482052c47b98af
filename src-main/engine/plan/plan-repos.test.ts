import { expect, test } from 'vitest';
import { parseInitFile } from '../../../src-shared/init-file/parse.ts';
import { formatIssue } from '../../../src-shared/issue.ts';
import type { EnvironmentRepos } from '../../../src-shared/repos/package-repos.ts';
import { everythingExists } from './plan.test-support.ts';
import { planEnvironment } from './plan.ts';
import type { FileInfo, PlanContext } from './plan-context.ts';

const DOMAINS = `domains:
  one:
    distro: el7
    nics: [{net: lan}]
    disks: [{name: root, type: empty, dev: vda, size: 1M}]
nets:
  lan: {type: nat, dhcp: {start: 100, end: 254}}
`;
const REPO = '[a-el7]\nbaseurl=http://a.example/\n[b-fc25]\nbaseurl=http://b.example/\n[tools]\nbaseurl=http://t.example/\n';

function plan(
  repos: string,
  around: Partial<PlanContext> = {},
): { readonly repos: EnvironmentRepos | undefined; readonly issues: readonly string[] } {
  const parsed = parseInitFile(`${DOMAINS}${repos}`, 'init');
  if (parsed.value === undefined) return { repos: undefined, issues: parsed.issues.map(formatIssue) };
  const made = planEnvironment(parsed.value, everythingExists({ text: () => ({ text: REPO }), ...around }));
  return { repos: made.repos, issues: [...parsed.issues, ...made.issues].map(formatIssue) };
}

test('nothing is planned for a file that says nothing', () => {
  expect(plan('').repos).toBeUndefined();
});

test('paths become absolute, and the plan says which sections are used', () => {
  const { repos, issues } = plan(
    `repos:
  file: conf/a.repo
  sources: ["build:pinned", "/srv/extra/*.rpm:only-missing", "https://ci.example/$JOB/"]
  client: auto
  serve: yes
  port: "9000"
`,
    { env: { JOB: '7' } },
  );
  expect(repos).toEqual({
    files: ['/srv/lago/conf/a.repo'],
    sources: ['/srv/lago/build:pinned', '/srv/extra/*.rpm:only-missing', 'https://ci.example/7/'],
    client: 'auto',
    serve: true,
    port: 9000,
  });
  expect(issues).toEqual(['init:9:3: info: repos.file: 1 of 3 package repositories are used: a-el7.']);
});

test('defaults, several files and a choice', () => {
  const { repos, issues } = plan('repos: {file: [a.repo], sections: [tools, b-fc25]}\n');
  expect(repos).toEqual({
    files: ['/srv/lago/a.repo'],
    sections: ['tools', 'b-fc25'],
    sources: [],
    client: 'none',
    serve: false,
    port: 8585,
  });
  expect(issues).toEqual(['init:8:9: info: repos.file: 2 of 3 package repositories are used: b-fc25, tools.']);
});

test.each([
  ['repos: {}', 'init:8:1: warning: repos: No package repository is named. Add file: with the path of a .repo file, or sources:.'],
  [
    'repos: {file: a.repo, sections: [tool]}',
    'init:8:34: error: repos.sections[0]: No file of repos has a section "tool". Did you mean tools?',
  ],
  ['repos: {file: a.repo, port: 70000}', 'init:8:23: error: repos.port: It must be a whole number from 1 to 65535.'],
  ['repos: {file: a.repo, client: yum}', 'init:8:23: error: repos.client: It must be auto or none.'],
  ['repos: {fiel: a.repo}', 'init:8:9: warning: repos.fiel: "fiel" is not a known key; it is kept but has no effect. Did you mean file?'],
  ['repos: a.repo', 'init:8:1: error: repos: It must be a mapping with file or sources.'],
])('%s', (repos, issue) => {
  expect(plan(`${repos}\n`).issues).toContain(issue);
});

test('errors of the file, and sections of which none is used, are said', () => {
  const { issues } = plan('repos: {file: a.repo}\n', { text: () => ({ text: '[b-fc25]\nbaseurl=http://b.example/\nenabled=perhaps\n' }) });
  expect(issues).toEqual([
    'init:8:9: warning: repos.file: The repository file /srv/lago/a.repo has an error. “lago repo explain /srv/lago/a.repo” says which.',
    'init:8:9: warning: repos.file: None of the 1 package repositories is used: the VMs are el7. End the ids of sections in “-DISTRO”, give VMs a distro, or choose sections by their ids with sections:.',
  ]);
});

test.each<[string, FileInfo | undefined, string]>([
  ['a file that is missing', undefined, 'The repository file /srv/lago/a.repo does not exist.'],
  ['a folder', { kind: 'folder', size: 0 }, '"/srv/lago/a.repo" is not a file.'],
  ['a file that may not be read', { kind: 'file', size: 1, problem: 'it may not be read' }, 'cannot be used: it may not be read.'],
])('%s is an error', (_, info, message) => {
  const { issues } = plan('repos: {file: a.repo}\n', { fileInfo: (path) => (path.endsWith('a.repo') ? info : undefined) });
  expect(issues.filter((issue) => issue.includes(': error: '))).toEqual([expect.stringContaining(message)]);
});

test('a file or source outside of the init file’s folder needs consent; one in that folder does not', () => {
  const trust: PlanContext['trust'] = { judge: (real) => (real.startsWith('/srv/lago/') ? 'own' : 'outside') };
  const fileInfo: PlanContext['fileInfo'] = (path) => (path.endsWith('.repo') ? { kind: 'file', size: 1 } : { kind: 'folder', size: 0 });
  const { issues } = plan('repos: {file: /etc/a.repo, sources: [/home/me, "*.rpm", "build/*/"]}\n', { trust, fileInfo });
  expect(issues.filter((issue) => issue.includes(': error: '))).toEqual([
    "init:8:9: error: repos.file: /etc/a.repo lies outside of the init file's folder; a guest could read it. To allow that, add --allow-path /etc/a.repo. Otherwise put a copy beside the init file.",
    "init:8:38: error: repos.sources[0]: /home/me lies outside of the init file's folder; guests could fetch packages that are in it. To allow that, add --allow-path /home/me. Otherwise put a copy beside the init file.",
  ]);
});
