import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseInitFile } from './parse.ts';

/**
 * 100,000 texts: each yields a value or an explained error at a position in the text, within bounded work. Work is measured in processor
 * time, so that a busy machine does not affect it.
 */
const MOST_WORK_MS = 1_000;

function workSince(begin: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / 1000;
}

function check(text: string): void {
  const begin = process.cpuUsage();
  const result = parseInitFile(text, 'fuzz');
  const work = workSince(begin);
  const errors = result.issues.filter((issue) => issue.severity === 'error');
  expect(result.value === undefined, text).toBe(errors.length > 0);
  const lines = text.split('\n').length;
  for (const issue of result.issues) {
    if (issue.line > lines || issue.line < 0 || issue.column < 0 || issue.message === '')
      throw new Error(`${JSON.stringify(issue)} of ${JSON.stringify(text)}`);
  }
  if (work > MOST_WORK_MS) throw new Error(`${work.toFixed(0)} ms for ${JSON.stringify(text.slice(0, 500))}`);
}

const YAML = `x: &x {type: nat, dhcp: {start: 100, end: 254}}
prototypes:
  p: {memory: 64, metadata: {a: [1, yes, 010]}}
domains:
  vm0:
    based-on: p
    nics: [{net: n, ip: 192.168.200.9}]
    disks:
      - {name: root, type: template, template_name: t, dev: vda, format: qcow2}
nets:
  n:
    <<: *x
    management: true
`;
const JSON_TEXT = JSON.stringify(
  {
    domains: { a: { memory: '64', nics: [{ net: 'n' }], disks: [{ name: 'd', type: 'empty', size: '1G', dev: 'vda' }] } },
    nets: { n: {} },
  },
  null,
  1,
);

const PIECES = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ': ',
  ',',
  '"',
  "'",
  '\n',
  '\n  ',
  '\n    ',
  '\t',
  '- ',
  '#',
  '&a ',
  '*a',
  '<<: *a',
  '|',
  '>',
  '|-\n',
  '!',
  '!!str ',
  '!!python/x ',
  '? ',
  '---',
  '...',
  '%',
  '@',
  '`',
  '\\',
  '\0',
  '\u{FEFF}',
  'é',
  '😀',
  '{{ x }}',
  '{% if %}',
  '__X__',
  'null',
  '~',
  'yes',
  '0x',
  '1:2',
  '.inf',
  '1e999',
  'domains',
  'nets',
  'memory',
  'nics',
  '__proto__',
  'constructor',
];

const soup = fc.array(fc.constantFrom(...PIECES), { maxLength: 40 }).map((parts) => parts.join(''));
const bytes = fc.uint8Array({ maxLength: 80 }).map((data) => new TextDecoder().decode(data));

/** A valid file with pieces inserted, cut out and duplicated. */
const edited = fc
  .tuple(
    fc.constantFrom(YAML, JSON_TEXT),
    fc.array(fc.tuple(fc.nat(), fc.nat(12), fc.constantFrom('', ...PIECES)), { minLength: 1, maxLength: 4 }),
  )
  .map(([text, edits]) =>
    edits.reduce(
      (current, [at, length, piece]) =>
        current.slice(0, at % (current.length + 1)) + piece + current.slice((at % (current.length + 1)) + length),
      text,
    ),
  );

const KEYS = [
  'memory',
  'vcpu',
  'nics',
  'disks',
  'net',
  'ip',
  'name',
  'dev',
  'type',
  'metadata',
  'groups',
  'bootstrap',
  'based-on',
  'dhcp',
  'start',
  'gw',
  'mtu',
  'dns_records',
  'cpu_custom',
  'build',
  'cloud-init',
  'comment',
];
const anyValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<unknown>(null, true, false, '', 'x', '../x', '<a>', 'n', 'template', '64', 'x'.repeat(70)),
    fc.integer(),
    fc.double(),
    fc.string(),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 4 }),
  ),
})).value;
const structured = fc
  .tuple(
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('vm', 'n')), fc.dictionary(fc.constantFrom(...KEYS), anyValue, { maxKeys: 5 }), {
      maxKeys: 3,
    }),
    fc.oneof(anyValue, fc.dictionary(fc.constantFrom('n'), anyValue)),
  )
  .map(([domains, nets]) => JSON.stringify({ domains, nets, prototypes: domains }));

describe('whatever the text', () => {
  it.each<[string, fc.Arbitrary<string>, number]>([
    ['bytes', bytes, 30_000],
    ['strings', fc.string({ unit: 'binary', maxLength: 120 }), 15_000],
    ['pieces of YAML', soup, 25_000],
    ['good files with mistakes', edited, 15_000],
    ['any values in the right frame', structured, 15_000],
  ])(
    '%s',
    (_, arbitrary, numRuns) => {
      fc.assert(
        fc.property(arbitrary, (text) => check(text)),
        { numRuns },
      );
    },
    120_000,
  );

  const size = 120_000;
  const large: readonly [string, string][] = [
    ['brackets', '['.repeat(size)],
    ['braces', '{'.repeat(size)],
    ['braces with keys', '{a: '.repeat(size / 4)],
    ['JSON brackets', `{"a":${'['.repeat(size)}`],
    ['dashes', '- '.repeat(size / 2)],
    ['question marks', '? '.repeat(size / 2)],
    ['colons', 'a: '.repeat(size / 3)],
    ['quotes', '"'.repeat(size)],
    ['one long string', `"${'\\\\'.repeat(size / 2)}"`],
    ['anchors', '&a '.repeat(size / 3)],
    ['line ends', '\n'.repeat(size)],
    ['blanks', ' '.repeat(size)],
    ['documents', '---\n'.repeat(size / 4)],
    ['commas', `[${','.repeat(size)}]`],
    ['merges', `a: &a {b: 1}\nc:\n${'  <<: *a\n'.repeat(size / 10)}`],
    ['comments', '#\n'.repeat(size / 2)],
    ['deep lines', Array.from({ length: 480 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
    ['many keys', Array.from({ length: 12_000 }, (_, index) => `k${index}: 1`).join('\n')],
    ['Jinja2 without end', '{{ '.repeat(size / 3)],
    ['Jinja2 lines', '{% a\n'.repeat(size / 5)],
    ['underscores', '__A'.repeat(size / 3)],
    ['at signs', `x: "${'@A'.repeat(size / 2)}"`],
  ];
  it.each(large)(
    'a large file of %s takes bounded work',
    (_, text) => {
      const begin = process.cpuUsage();
      expect(parseInitFile(text, 'fuzz').value).toBeUndefined();
      expect(workSince(begin)).toBeLessThan(10_000);
    },
    120_000,
  );

  const laughs = [
    'a0: &a0 [lol]',
    ...Array.from({ length: 30 }, (_, index) => `a${index + 1}: &a${index + 1} [${`*a${index}, `.repeat(9)}*a${index}]`),
    'domains: *a30\nnets: {n: {}}\n',
  ].join('\n');

  it('a billion-laughs file stays small', () => {
    expect(parseInitFile(laughs, 'fuzz').issues).toMatchObject([{ message: 'The aliases of this file multiply to too many values.' }]);
  });

  it('none of them takes more than 256 MiB', { timeout: 120_000 }, () => {
    const loader = join(import.meta.dirname, '../../scripts/typescript.mjs');
    const program = `
      import { readFileSync } from 'node:fs';
      import { parseInitFile } from ${JSON.stringify(join(import.meta.dirname, 'parse.ts'))};
      for (const text of JSON.parse(readFileSync(0, 'utf8'))) parseInitFile(text, 'fuzz');
      console.log(process.resourceUsage().maxRSS);`;
    const texts = [...large.map(([, text]) => text), laughs, ...fc.sample(structured, 500), ...fc.sample(edited, 500)];
    const options = { input: JSON.stringify(texts), encoding: 'utf8' } as const;
    // The heap has room for one text only: V8 aborts if one needs more, and has to collect the garbage of earlier ones.
    const argv = ['--max-old-space-size=160', '--max-semi-space-size=8', '--import', loader, '--input-type=module', '-e', program];
    const { stdout, stderr } = spawnSync(process.execPath, argv, options);
    expect(stderr).toBe('');
    // KiB of the whole process, including Node itself.
    expect(Number(stdout)).toBeGreaterThan(0);
    expect(Number(stdout)).toBeLessThan(256 * 1024);
  });
});
