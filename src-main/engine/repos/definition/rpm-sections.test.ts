import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatIssue } from '../../../../src-shared/issue.ts';
import { parseRepoFile } from './parse.ts';
import type { RpmSection } from './section.ts';

const EL7 = { distros: ['el7'] };

function parse(text: string, variables = EL7): { readonly sections: readonly RpmSection[]; readonly issues: readonly string[] } {
  const { sections, issues } = parseRepoFile(text, 'x.repo', variables);
  return { sections: sections as readonly RpmSection[], issues: issues.map(formatIssue) };
}

function only(options: string, variables = EL7): { readonly section: RpmSection; readonly issues: readonly string[] } {
  const { sections, issues } = parse(`[a-el7]\nbaseurl=http://a.example/\n${options}\n`, variables);
  return { section: sections[0] as RpmSection, issues };
}

test('a file as tests of oVirt have it: defaults in [main], lists on tabbed lines, comments between', () => {
  const { sections, issues } = parse(`[main]
reposdir = /etc/reposync.repos.d
max_connections = 50
ip_resolve = 4
gpgcheck = 0
plugins = 1

[tested-el7]
name = Tested
baseurl = http://one.example/el7/
enabled = 1
max_connections = 10
proxy = _none_
cost = 100
ost_skip_injection = True
exclude = guest-agent
	*-debuginfo
# Say here why

	doc,*-devel

[copr-el7]
name=Copr
baseurl=https://copr.example/epel-$releasever-$basearch/
gpgcheck=1
gpgkey=https://copr.example/pubkey.gpg
includepkgs=
 	ansible
	ansible-doc
`);
  expect(sections).toMatchObject([
    {
      kind: 'rpm',
      id: 'tested-el7',
      name: 'Tested',
      line: 8,
      enabled: true,
      baseurls: ['http://one.example/el7/'],
      maxConnections: 10,
      cost: 100,
      priority: 99,
      excludes: ['guest-agent', '*-debuginfo', 'doc', '*-devel'],
      includes: [],
      gpgCheck: false,
      connection: { proxy: 'none', ipVersion: 4, sslVerify: true },
    },
    {
      id: 'copr-el7',
      baseurls: ['https://copr.example/epel-7-x86_64/'],
      maxConnections: 50,
      gpgCheck: true,
      gpgKeys: ['https://copr.example/pubkey.gpg'],
      includes: ['ansible', 'ansible-doc'],
    },
  ]);
  expect(issues).toEqual([
    'x.repo:2:1: info: main.reposdir: reposdir is ignored. Only this file is read; name further ones beside it.',
    'x.repo:6:1: info: main.plugins: plugins is ignored. Plugins of dnf and yum are not used.',
    'x.repo:15:1: info: tested-el7.ost_skip_injection: ost_skip_injection is ignored. It is for the tests of oVirt; repositories are synchronised the same way with and without it.',
  ]);
});

test('every option of a repository is read', () => {
  const { section, issues } = only(`mirrorlist = https://m.example/?repo=$releasever
metalink = https://m.example/metalink
excludepkgs = a*, b
exclude = c
includepkgs = d e
repo_gpgcheck = yes
gpgkey = file:///etc/key
  https://k.example/key
sslverify = false
sslcacert = /ca.pem
sslclientcert = /c.pem
sslclientkey = /k.pem
proxy = http://p.example:3128
proxy_username = pu
proxy_password = p # w
username = u
password = w
cost = 5
priority = -1
module_hotfixes = true
max_parallel_downloads = 7
skip_if_unavailable = 1
ip_resolve = IPv6
timeout = 1.5m
retries = 4
user_agent = me
type = rpm-md`);
  expect(issues).toEqual([]);
  expect(section).toEqual({
    kind: 'rpm',
    id: 'a-el7',
    name: 'a-el7',
    file: 'x.repo',
    line: 1,
    enabled: true,
    maxConnections: 7,
    connection: {
      sslVerify: false,
      proxy: 'http://p.example:3128',
      ipVersion: 6,
      timeout: 90,
      retries: 4,
      proxyUsername: 'pu',
      proxyPassword: 'p # w',
      username: 'u',
      password: 'w',
      sslCaCert: '/ca.pem',
      sslClientCert: '/c.pem',
      sslClientKey: '/k.pem',
      userAgent: 'me',
    },
    baseurls: ['http://a.example/'],
    mirrorlist: 'https://m.example/?repo=7',
    metalink: 'https://m.example/metalink',
    excludes: ['c', 'a*', 'b'],
    includes: ['d', 'e'],
    gpgCheck: false,
    repoGpgCheck: true,
    gpgKeys: ['file:///etc/key', 'https://k.example/key'],
    cost: 5,
    priority: -1,
    moduleHotfixes: true,
    skipIfUnavailable: true,
  });
});

test.each([
  ['1', true],
  ['0', false],
  ['yes', true],
  ['No', false],
  ['True', true],
  ['FALSE', false],
  ['on', true],
  ['off', false],
  ['enabled', true],
])('enabled=%s', (text, enabled) => {
  expect(only(`enabled=${text}`)).toMatchObject({ section: { enabled }, issues: [] });
});

test('[main] leaves out packages everywhere, and a section overrides all else of it', () => {
  const { sections } = parse(`[a-el7]
baseurl=http://a.example/
exclude=own
proxy=
max_parallel_downloads=3
[main]
exclude=common
proxy=http://p.example
max_connections=9
enabled=0
`);
  expect(sections).toMatchObject([{ excludes: ['common', 'own'], connection: { proxy: 'none' }, maxConnections: 3, enabled: false }]);
});

test('a section or key that occurs twice', () => {
  const { sections, issues } = parse(`[a-el7]
baseurl=http://a.example/
cost=1
cost=2
[b-el7]
baseurl=http://b.example/
[a-el7]
priority=3
`);
  expect(sections).toMatchObject([{ id: 'a-el7', line: 1, cost: 2, priority: 3 }, { id: 'b-el7' }]);
  expect(issues).toEqual([
    'x.repo:4:1: warning: a-el7.cost: cost is also in line 3; the last one counts. Remove one of the two.',
    'x.repo:7:1: warning: a-el7: The section "a-el7" is also in line 1; the options of both count together. Give one of them another id, or make one of the two.',
  ]);
});

test('a byte order mark, CRLF, percent signs and other characters', () => {
  const { sections, issues } = parse('\uFEFF[a-el7]\r\nname=100 % Pakete für Žluť; all\r\nbaseurl=http://a.example/%20x/rpms!a\r\n');
  expect(sections).toMatchObject([{ name: '100 % Pakete für Žluť; all', baseurls: ['http://a.example/%20x/rpms!a'] }]);
  expect(issues).toEqual([]);
});

test.each([
  ['enabled=maybe', 'x.repo:3:9: error: a-el7.enabled: "maybe" is neither yes nor no.'],
  ['cost = many', 'x.repo:3:8: error: a-el7.cost: "many" is not a whole number from -1000000 to 1000000.'],
  ['max_connections=0', 'x.repo:3:17: error: a-el7.max_connections: "0" is not a whole number from 1 to 1000.'],
  ['timeout=soon', 'x.repo:3:9: error: a-el7.timeout: "soon" is not a time such as 30, 30s or 5m.'],
  ['ip_resolve=5', 'x.repo:3:12: error: a-el7.ip_resolve: "5" is neither 4 nor 6.'],
  ['type=yast2', 'x.repo:3:6: error: a-el7.type: "yast2" is no type of repository that can be read; rpm-md is.'],
  ['proxy=http://', 'x.repo:3:7: error: a-el7.proxy: The address of the proxy is no valid URL.'],
  ['mirrorlist=/etc/list', 'x.repo:3:12: error: a-el7.mirrorlist: "/etc/list" is no URL: it does not begin with http:, https: or file:.'],
  ['gpgkey=/etc/key ftp://a/key', 'x.repo:3:17: error: a-el7.gpgkey: "ftp://a/key" cannot be fetched: only http, https and file can.'],
  [
    'gpgcheck=1',
    'x.repo:3:1: warning: a-el7.gpgcheck: The signatures of "a-el7" are to be checked, but no gpgkey says with which key. Add gpgkey = URL, or gpgcheck = 0.',
  ],
  ['enabeld=1', 'x.repo:3:1: warning: a-el7.enabeld: Unknown key "enabeld". Did you mean enabled?'],
  ['zzz=1', 'x.repo:3:1: warning: a-el7.zzz: Unknown key "zzz".'],
  ['gpg_check=0', 'x.repo:3:1: info: a-el7.gpg_check: gpg_check is taken for gpgcheck, as dnf calls it.'],
  ['enabled: 1', 'x.repo:3:1: warning: a-el7.enabled: dnf does not read "enabled:"; yum does. Write = in place of the colon.'],
  [
    'enabled=1 # now',
    'x.repo:3:10: warning: a-el7.enabled: dnf takes a comment after a value for a part of enabled; here it is a comment. Give it a line of its own.',
  ],
  [
    'exclude=a\n # b',
    'x.repo:4:2: info: a-el7.exclude: dnf takes an indented comment for a part of exclude; here it is a comment. Begin it at the start of the line.',
  ],
  [
    'http://b.example/?a=b',
    'x.repo:3:1: error: a-el7: "http://b.example/?a=b" is no option. Write KEY = VALUE. A line that goes on with the value above begins with a space.',
  ],
  [
    '= 1',
    'x.repo:3:1: error: a-el7: The key before the “=” is missing. Write KEY = VALUE. A line that goes on with the value above begins with a space.',
  ],
  ['mirrorlist=http://m.example/?list=a,b&infra=stock', undefined],
  ['mirrorlist=', undefined],
  ['password=a$ecret # x', undefined],
  ['name=For $none', undefined],
  ['rem nothing', undefined],
  ['; nothing', undefined],
])('%s', (options, issue) => {
  expect(only(options).issues).toEqual(issue === undefined ? [] : [issue]);
});

test.each([
  ['', 'x.repo: error: The file has no repository. Write [ID] and baseurl = URL below it.'],
  ['[a]', 'x.repo:1:1: error: a: The section does not say where its packages are. Add baseurl = URL (or mirrorlist or metalink).'],
  [
    '[a]\nenabled=0',
    'x.repo:1:1: warning: a: The section does not say where its packages are. Add baseurl = URL (or mirrorlist or metalink).',
  ],
  [
    'name=x\n[a]\nbaseurl=http://a.example',
    'x.repo:1:1: error: "name=x" stands before the first section. Begin with the id of a repository: [ID].',
  ],
  ['[a\nbaseurl=http://a.example', 'x.repo:1:1: error: a: The “]” after "[a" is missing.'],
  ['[a] b\nbaseurl=http://a.example', 'x.repo:1:4: error: a: There is more after the section "a". Begin a new line.'],
  ['[a] # b\nbaseurl=http://a.example', undefined],
  ['[]\nbaseurl=http://a.example', 'x.repo:1:1: error: The section has no id. Write the id of the repository: [ID].'],
  [
    '[../a]\nbaseurl=http://a.example',
    'x.repo:1:1: error: ../a: "../a" cannot be the id of a section. Use letters, digits, “-”, “_”, “.” and “:”.',
  ],
  [
    '[.lago]\nbaseurl=http://a.example',
    'x.repo:1:1: error: .lago: ".lago" cannot be the id of a section. Use letters, digits, “-”, “_”, “.” and “:”.',
  ],
  ['[a]\n  baseurl=http://a.example', 'x.repo:2:3: error: a.baseurl: An option cannot be indented. Remove the spaces before it.'],
  [
    '[a]\nbaseurl=http://a.example\nname=A\n\tENABLED = 0',
    'x.repo:4:2: error: a.enabled: An option cannot be indented. Remove the spaces before it.',
  ],
  [
    '[a]\n# \uFFFD\nname=\uFFFD\nbaseurl=http://a.example',
    'x.repo:3:6: warning: A character here is not UTF-8 and cannot be read. Save the file as UTF-8.',
  ],
  [
    '[main]\ncost=1\n[a]\nbaseurl=http://a.example',
    'x.repo:2:1: warning: main.cost: cost has no effect in [main]. Write it into the section of a repository.',
  ],
  ['[main]\ngpgcheck=x\n[a]\nbaseurl=http://a.example', 'x.repo:2:10: error: main.gpgcheck: "x" is neither yes nor no.'],
  ['a\0b', 'x.repo: error: This is not a text file. Give a .repo file of dnf, or a .list or .sources file of apt.'],
])('%j', (text, issue) => {
  expect(parse(text).issues).toEqual(issue === undefined ? [] : [issue]);
});

test('no section without a usable id', () => {
  expect(parse('[]\nbaseurl=http://a.example\n[a/b]\nbaseurl=http://a.example\n[..]\nbaseurl=http://a.example').sections).toEqual([]);
});

test('a Jinja template is one error for each line, and nothing follows from it', () => {
  const { sections, issues } = parse(`{% for dist in dists %}
[x-{{ dist }}]
baseurl={{ url }}/{{ dist }}\\$releasever
enabled={{ on }}
{% endfor %}
[a-el7]
baseurl=http://a.example/{{ dist }}/$releasever
`);
  expect(sections).toMatchObject([{ id: 'a-el7', baseurls: ['http://a.example/{{ dist }}/7'] }]);
  expect(issues.map((issue) => issue.replace(/: .*in "/, ' ').replace(/".*/, ''))).toEqual([
    'x.repo:1:1 {% for dist in dists %}',
    'x.repo:2:4 {{ dist }}',
    'x.repo:3:9 {{ url }}',
    'x.repo:4:9 {{ on }}',
    'x.repo:5:1 {% endfor %}',
    'x.repo:7:26 {{ dist }}',
  ]);
});

test('variables that nothing gives a value stay, each with an issue', () => {
  const none = parse('[ci-tools]\nbaseurl=http://a.example/el$releasever/${basearch}/$infra', { distros: [] });
  expect(none.sections[0]?.baseurls).toEqual(['http://a.example/el$releasever/x86_64/$infra']);
  expect(none.issues).toEqual([
    'x.repo:2:28: warning: ci-tools.baseurl: What $releasever stands for depends on the distribution, which is not known; it is left as it is. Name one distribution such as el9, or end the section’s id in “-el9”.',
    'x.repo:2:52: warning: ci-tools.baseurl: Nothing says what $infra stands for; it is left as it is. Write its value into the file.',
  ]);
  const fedora = parse('[a]\nbaseurl=http://a.example/$releasever', { distros: ['fedora'] });
  expect(fedora.issues[0]).toContain('The distribution "fedora" does not say what $releasever stands for');
});

test('text of any kind is read without throwing, and in bounded time', () => {
  const part = fc.constantFrom(
    '[',
    ']',
    'a-el7',
    'baseurl',
    '=',
    ' ',
    '\t',
    '\n',
    '\r',
    '#',
    ';',
    ':',
    '$',
    '{',
    '}',
    '{{',
    '%',
    'http://',
    'é',
    '\\',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
      const { issues, sections } = parseRepoFile(parts.join(''), 'x', { distros: ['el7'] });
      expect(issues.length).toBeLessThanOrEqual(200);
      for (const section of sections) expect(section.id).toMatch(/^[\w:-][\w.:-]*$/);
    }),
  );
  const hostile = [
    '[a]\n' + ' '.repeat(500_000) + 'x=y',
    '['.repeat(500_000),
    'a='.repeat(250_000),
    '[a]\nbaseurl=' + '$'.repeat(500_000),
    '{{'.repeat(250_000),
    '[a]\n' + 'b\n'.repeat(100_000),
  ];
  for (const text of hostile) expect(parseRepoFile(text, 'x', { distros: [] }).issues.length).toBeGreaterThan(0);
});
