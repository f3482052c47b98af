import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatIssue } from '../issue.ts';
import { MAX_INIT_FILE, type ParseResult, parseInitFile } from './parse.ts';

const fixtures = join(import.meta.dirname, '../../fixtures/lago/init');

function yaml(text: string): ParseResult {
  return parseInitFile(text, 'f');
}

/** A valid file around the body of one VM (YAML flow style) and of one network. */
function withVm(vm: string, net = 'management: true'): ParseResult {
  return yaml(`domains:\n  vm0: {nics: [{net: n}], ${vm}}\nnets:\n  n: {${net}}\n`);
}

function shown(result: ParseResult): string[] {
  return result.issues.map(formatIssue);
}

describe('two formats', () => {
  it('reads JSON and YAML to the same value', () => {
    const value = { domains: { a: { memory: 64, nics: [{ net: 'n' }] } }, nets: { n: { dhcp: { start: 2, end: 9 } } } };
    const json = parseInitFile(JSON.stringify(value), 'f').value;
    const same = yaml(
      'domains:\n  a:\n    memory: 64\n    nics:\n    - net: n\nnets:\n  n:\n    dhcp:\n      start: 2\n      end: 9\n',
    ).value;
    expect(json?.domains).toEqual(value.domains);
    expect(same?.domains).toEqual(json?.domains);
    expect(same?.nets).toEqual(json?.nets);
  });

  it('takes a byte order mark, Windows line ends and tabs between JSON values', () => {
    expect(parseInitFile('\uFEFF{"domains":\t{"a": {"nics":\r\n\t[]}}, "nets": {"n": {}}}', 'f').issues).toEqual([]);
    expect(yaml('domains:\r\n  a: {nics: []}\r\nnets:\r\n  n: {}\r\n').value?.domainNames).toEqual(['a']);
  });

  it('says that slashes begin no comment, and reads # in JSON', () => {
    const json = '{"domains": {"a": {"nics": []}}, "nets": {"n": {}}}';
    expect(shown(parseInitFile(`// mine\n${json}`, 'f'))).toEqual([
      'f:1:1: error: // does not begin a comment in JSON or YAML. Begin comments with #.',
    ]);
    expect(parseInitFile(`# mine\n${json}`, 'f').issues).toEqual([]);
  });

  it('reads YAML that only looks like JSON', () => {
    expect(yaml('{domains: {a: {nics: [{net: n}]}}, nets: {n: {}}}').value?.netNames).toEqual(['n']);
  });

  it('keeps the order of names that look like numbers', () => {
    const { value } = yaml('domains:\n  "20": {nics: []}\n  "3": {nics: []}\nnets:\n  b: {}\n  "1": {}\n');
    expect(value?.domainNames).toEqual(['20', '3']);
    expect(value?.netNames).toEqual(['b', '1']);
  });
});

describe('snapshot-keep', () => {
  const withKeep = (keep: string): ParseResult => yaml(`domains:\n  a: {nics: []}\nnets:\n  n: {}\nsnapshot-keep: ${keep}\n`);

  it('says which automatic snapshots are kept', () => {
    expect(withKeep('{last: 10, days: "7"}').value?.snapshotKeep).toEqual({ last: 10, days: 7 });
    expect(withKeep('').value?.snapshotKeep).toBeUndefined();
    expect(withKeep('{}')).toMatchObject({ value: { snapshotKeep: {} }, issues: [] });
  });

  it('is checked', () => {
    expect(shown(withKeep('{last: 0}'))).toEqual(['f:5:17: error: snapshot-keep.last: It must be a whole number from 1 to 1000.']);
    expect(shown(withKeep('10'))).toEqual(['f:5:1: error: snapshot-keep: It must be a mapping with last, days or both.']);
    expect(shown(withKeep('{newest: 3}'))).toEqual([expect.stringContaining('"newest" is not a known key')]);
  });
});

describe('YAML as PyYAML reads it', () => {
  function metadata(text: string): unknown {
    return withVm(`metadata: {k: ${text}}`).value?.domains['vm0']?.metadata?.['k'];
  }

  // The results of safe_load in PyYAML 6.0.3.
  it.each<[string, unknown]>([
    ['yes', true],
    ['Off', false],
    ['y', 'y'],
    ['N', 'N'],
    ['tRUE', 'tRUE'],
    ['~', null],
    ['nULL', 'nULL'],
    ['010', 8],
    ['08', '08'],
    ['0o10', '0o10'],
    ['0x1F', 31],
    ['0b101', 5],
    ['1_000', 1000],
    ['1:30', 90],
    ['190:20:30', 685_230],
    ['1:60', '1:60'],
    ['1e3', '1e3'],
    ['1.0e3', '1.0e3'],
    ['1.0e+3', 1000],
    ['.5', 0.5],
    ['+.5', '+.5'],
    ['5.', 5],
    ['2001-01-01', '2001-01-01'],
    ['"010"', '010'],
  ])('%s', (text, value) => {
    expect(metadata(text)).toEqual(value);
  });

  it('follows anchors, and merge keys in every form, own keys first', () => {
    const { value, issues } = yaml(`
x: &x {memory: 1, vcpu: 1}
y: &y {memory: 2, distro: el7}
domains:
  a: {<<: *x, memory: 64, nics: []}
  b: {<<: [*y, *x], memory: 64, nics: []}
  c:
    <<: *x
    <<: *y
    memory: 99
    nics: []
nets: {n: {}}
`);
    expect(issues).toEqual([]);
    expect(value?.domains).toMatchObject({
      a: { memory: 64, vcpu: 1 },
      b: { vcpu: 1, distro: 'el7' },
      c: { vcpu: 1, distro: 'el7', memory: 99 },
    });
  });

  it('gives each user of an anchor a value of its own', () => {
    const { value } = yaml('m: &m {a: [1]}\ndomains:\n  a: {metadata: *m, nics: []}\n  b: {metadata: *m, nics: []}\nnets: {n: {}}\n');
    expect(value?.domains['a']?.metadata).toEqual({ a: [1] });
    expect(value?.domains['a']?.metadata).not.toBe(value?.domains['b']?.metadata);
  });
});

describe('loose values of real files', () => {
  it('makes them one type', () => {
    const { value, issues } = withVm(
      'memory: "1024", vcpu: "2", root-password: 123456, distro: 7, bootstrap: "no", groups: web',
      'management: "yes", mtu: "9000"',
    );
    expect(issues).toEqual([]);
    expect(value?.domains['vm0']).toMatchObject({
      memory: 1024,
      vcpu: 2,
      'root-password': 123456,
      distro: '7',
      bootstrap: false,
      groups: ['web'],
    });
    expect(value?.nets['n']).toMatchObject({ management: true, mtu: 9000 });
  });

  it('warns of a password that YAML reads as an octal number', () => {
    expect(shown(withVm('root-password: 0123456'))).toEqual([
      'f:2:42: warning: domains.vm0.root-password: The password is written 0123456 and is read as the number 42798. Put it in quotes.',
    ]);
  });

  it('takes a key without a value as absent', () => {
    const { value, issues } = withVm('memory: , artifacts: , comment: , metadata: {a: }');
    expect(issues.map((issue) => issue.path)).toEqual(['domains.vm0.memory', 'domains.vm0.artifacts']);
    expect(value?.domains['vm0']).toEqual({ nics: [{ net: 'n' }], metadata: { a: null } });
  });
});

describe('issues', () => {
  it('reports everything at once, in the order of the text', () => {
    const result = yaml(`domains:
  vm0:
    memroy: 512
    vcpu: many
    nics:
      - net: mangement
    disks:
      - {name: a, type: emtpy, dev: vda}
nets:
  management: {type: nta}
`);
    expect(result.value).toBeUndefined();
    expect(shown(result)).toEqual([
      'f:3:5: warning: domains.vm0.memroy: "memroy" is not a known key; it is kept but has no effect. Did you mean memory?',
      'f:4:5: error: domains.vm0.vcpu: It must be a whole number from 1 to 512.',
      'f:6:14: error: domains.vm0.nics[0].net: There is no network "mangement". Did you mean management?',
      'f:8:19: error: domains.vm0.disks[0].type: It must be template, empty or file.',
      'f:10:16: error: nets.management.type: It must be nat or bridge.',
    ]);
  });

  it.each<[string, string, string]>([
    ['an empty file', '', 'f:1:1: error: The file is empty.'],
    ['a list', '[]', 'f:1:1: error: An init file is a mapping with the keys domains and nets.'],
    ['a scalar', 'hello', 'f:1:1: error: An init file is a mapping with the keys domains and nets.'],
    [
      'no domains',
      'domain: {}\nnets: {n: {}}',
      'f:1:1: error: domains: The file has no domains. Did you mean domains instead of "domain"?',
    ],
    ['no nets', 'domains: {a: {nics: []}}', 'f:1:1: error: nets: The file has no nets. Add nets: with at least one entry.'],
    ['empty nets', 'domains: {a: {nics: []}}\nnets: {}', 'f:2:1: error: nets: The mapping nets is empty. Add at least one entry.'],
    [
      'a tab',
      'domains:\n\ta: {}\nnets: {n: {}}',
      'f:2:1: error: A tab is used to indent; YAML allows only spaces there. Replace the tab by spaces.',
    ],
    ['a cut JSON', '{"domains": {"a": {', 'f:1:19: error: This "{" is never closed. Is the file cut off?'],
    ['a comma in JSON', '{"domains": {},}}', 'f:1:15: error: There must be no comma before "}".'],
    [
      'a missing comma',
      '{"domains": {}\n"nets": {}}',
      'f:2:1: error: Unexpected "\\""; a comma or "}" should be here. Is a comma missing on the line before?',
    ],
    [
      'two documents',
      'domains: {a: {nics: []}}\nnets: {n: {}}\n---\na: 1',
      'f:4:1: error: A second YAML document begins here. An init file is one document; remove the line with three dashes.',
    ],
    ['an unknown alias', 'domains: *x\nnets: {n: {}}', 'f:1:10: error: The alias *x has no anchor &x before it.'],
    ['a circle', 'domains: &x {a: *x}\nnets: {n: {}}', 'f:1:17: error: The alias *x is inside the value that it refers to.'],
    [
      'a tag',
      'domains: !!python/object:os.system {a: 1}\nnets: {n: {}}',
      'f:1:10: error: !!python/object:os.system is a YAML tag that an init file cannot have. Remove the tag and keep the value.',
    ],
    ['a binary', 'domains\0', 'f:1:8: error: This is not a text file. An init file is JSON or YAML.'],
    ['a domain that is a list', 'domains: {a: []}\nnets: {n: {}}', 'f:1:11: error: domains.a: It must be a mapping that describes one VM.'],
  ])('%s', (_, text, message) => {
    const result = yaml(text);
    expect(result.value).toBeUndefined();
    expect(shown(result)).toContain(message);
  });

  it('takes the last of repeated keys, and says so', () => {
    for (const text of [
      'domains:\n  a: {nics: []}\n  a: {nics: [], memory: 64}\nnets: {n: {}}',
      '{"domains": {"a": {},\n\n "a": {"memory": 64}}, "nets": {"n": {}}}',
    ]) {
      const { value, issues } = yaml(text);
      expect(issues).toMatchObject([{ line: 3, severity: 'warning', message: expect.stringContaining('second time') as string }]);
      expect(value?.domains['a']).toMatchObject({ memory: 64 });
    }
  });

  it('refuses a file that is too long, without reading it', () => {
    expect(parseInitFile(' '.repeat(MAX_INIT_FILE + 1), 'f').issues).toMatchObject([{ line: 0, severity: 'error' }]);
  });

  it('reports at most 200 issues', () => {
    const vms = Array.from({ length: 500 }, (_, index) => `  vm${index}: {memory: x}`).join('\n');
    expect(yaml(`domains:\n${vms}\nnets: {n: {}}`).issues).toHaveLength(200);
  });
});

describe('hostile names', () => {
  it.each(['../x', '', '.hidden', '-rf', 'a b', 'a/b', '<x/>', '$(id)', 'a;b', "a'b", 'a\nb', '__proto__', 'ä', 'x'.repeat(64)])(
    '%j is no VM, network or disk name',
    (name) => {
      const key = JSON.stringify(name);
      expect(parseInitFile(`{"domains": {${key}: {}}, "nets": {"n": {}}}`, 'f').value).toBeUndefined();
      expect(parseInitFile(`{"domains": {"a": {}}, "nets": {${key}: {}}}`, 'f').value).toBeUndefined();
      const disk = parseInitFile(`{"domains": {"a": {"disks": [{"name": ${key}}]}}, "nets": {"n": {}}}`, 'f');
      expect(disk.value).toBeUndefined();
      expect(disk.issues[0]).toMatchObject({
        path: 'domains.a.disks[0].name',
        line: 1,
        hint: expect.stringContaining('at most 63') as string,
      });
    },
  );

  it.each(['constructor', 'toString', 'hasOwnProperty', '_x', '9', 'a.b-c_d'])('%s is a name like others', (name) => {
    const { value } = parseInitFile(`{"domains": {"${name}": {"memory": 64}}, "nets": {"${name}": {}}}`, 'f');
    expect(value?.domains[name]).toEqual({ memory: 64 });
    expect(value?.netNames).toEqual([name]);
  });

  it('does not touch prototypes of JavaScript', () => {
    parseInitFile('{"domains": {"a": {"metadata": {"__proto__": {"polluted": 1}}}}, "nets": {"n": {}}, "__proto__": {"polluted": 1}}', 'f');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('prototypes', () => {
  it('fill in what a VM does not have, through a chain', () => {
    const { value, issues } = yaml(`
prototypes:
  base: {memory: 64, nics: [{net: n}], metadata: {a: 1, b: 2}}
  big: {based-on: base, vcpu: 8, memory: 128}
domains:
  x: {based-on: big, metadata: {c: 3}}
  y: {based-on: base}
nets: {n: {}}
`);
    expect(issues).toEqual([]);
    expect(value?.domains).toMatchObject({
      x: { memory: 128, vcpu: 8, nics: [{ net: 'n' }], metadata: { c: 3 } },
      y: { memory: 64, metadata: { a: 1, b: 2 } },
    });
    expect(value?.domains['x']?.metadata).toEqual({ c: 3 });
  });

  it('say where the mistake in a prototype is, once', () => {
    expect(shown(yaml('prototypes:\n  p: {memory: lots}\ndomains:\n  a: {based-on: p}\n  b: {based-on: p}\nnets: {n: {}}\n'))).toEqual([
      'f:2:7: error: domains.a.memory: It must be a whole number from 16 to 16777216 (MiB).',
    ]);
  });

  it('that form a loop or do not exist are errors', () => {
    const result = yaml(
      'prototypes:\n  p: {based-on: q}\n  q: {based-on: p}\n  host: {}\ndomains:\n  a: {based-on: p}\n  b: {based-on: hots}\nnets: {n: {}}\n',
    );
    expect(shown(result)).toEqual([
      'f:3:7: error: domains: The prototypes form a loop: "p" → "q" → "p". Remove one of the based-on keys.',
      'f:7:7: error: domains: There is no prototype "hots". Did you mean "host"?',
    ]);
  });
});

describe('templates of init files', () => {
  it('are named as such, each expression at its place', () => {
    const result = yaml('domains:\n{% for i in range(2) %}\n  host-{{ i }}:\n    nics: [{net: n}]\n{% endfor %}\nnets: {n: {}}\n');
    expect(result.value).toBeUndefined();
    expect(result.issues.map(({ line, column }) => [line, column])).toEqual([
      [2, 1],
      [3, 8],
      [5, 1],
    ]);
    expect(result.issues[0]?.message).toContain('Jinja2 template');
    expect(result.issues[0]?.hint).toContain('jinja2');
  });

  it('that read as YAML are refused too', () => {
    const result = yaml('domains:\n  lago-{{ suite }}-engine: {nics: []}\nnets: {n: {}}\n');
    expect(result.value).toBeUndefined();
    expect(result.issues[0]).toMatchObject({ line: 2, column: 3, severity: 'error' });
  });

  it('leave cloud-init data and ordinary mistakes alone', () => {
    expect(withVm("cloud-init: {user-data: '{{ ds.meta_data }}'}").issues).toEqual([]);
    expect(yaml('domains: {a: [}').issues[0]?.message).not.toContain('Jinja');
  });

  it('for sed cause a warning, also where they are invalid YAML', () => {
    const good = yaml('domains:\n  __ENGINE__: {nics: [{net: n}]}\nnets: {n: {}}\n');
    expect(good.value?.domainNames).toEqual(['__ENGINE__']);
    expect(good.issues).toMatchObject([{ line: 2, column: 3, severity: 'warning', hint: expect.stringContaining('sed') as string }]);
    expect(shown(yaml('domains:\n  a: {}\n  b:\n    url: @SUITE@/x\n'))[0]).toMatch(/^f:4:10: error: @SUITE@ looks like a placeholder/);
  });
});

describe('places', () => {
  it('are those of the key, or of its nearest existing ancestor', () => {
    const { value } = yaml('domains:\n  a:\n    nics:\n      - net: n\n        ip: 1.2.3.4\nnets:\n  n: {}\n');
    expect(value?.locate(['domains', 'a', 'nics', 0, 'ip'])).toEqual({ line: 5, column: 9 });
    expect(value?.locate(['domains', 'a', 'memory'])).toEqual({ line: 2, column: 3 });
    expect(value?.locate(['nothing'])).toEqual({ line: 1, column: 1 });
  });
});

describe('every real file', () => {
  it.each(readdirSync(fixtures))('%s', (name) => {
    const { value, issues } = parseInitFile(readFileSync(join(fixtures, name), 'utf8'), name);
    expect(value === undefined).toBe(issues.some((issue) => issue.severity === 'error'));
    if (/\{[{%]/.test(readFileSync(join(fixtures, name), 'utf8'))) expect(issues[0]?.message).toContain('Jinja2');
    else if (/path: @SUITE@/.test(readFileSync(join(fixtures, name), 'utf8'))) expect(issues[0]?.message).toContain('placeholder');
    else expect(value).toBeDefined();
  });
});
