import { describe, expect, it } from 'vitest';
import { parseInitFile } from '../../../src-shared/init-file/parse.ts';
import { formatIssue } from '../../../src-shared/issue.ts';
import { everythingExists } from './plan.test-support.ts';
import { planEnvironment } from './plan.ts';
import { startWaves } from './start-order.ts';

function waves(after: Readonly<Record<string, readonly string[]>>): readonly (readonly string[])[] {
  const vms = Object.entries(after).map(([name, others]) => ({ name, 'start-after': [...others] }));
  return startWaves(vms).map((wave) => wave.map((vm) => vm.name));
}

describe('startWaves', () => {
  it.each([
    ['nothing', {}, []],
    ['no order', { b: [], a: [] }, [['b', 'a']]],
    ['a chain', { web: ['db'], db: ['disk'], disk: [] }, [['disk'], ['db'], ['web']]],
    ['several', { web: ['db', 'auth'], db: [], auth: ['db'], mail: [] }, [['db', 'mail'], ['auth'], ['web']]],
    ['VMs that are not started', { web: ['db'] }, [['web']]],
    ['a cycle, which does not hang', { a: ['b'], b: ['a'], c: [] }, [['c'], ['a', 'b']]],
  ])('%s', (_, after, expected) => expect(waves(after)).toEqual(expected));
});

describe('start-after in an init file', () => {
  function problems(vms: Readonly<Record<string, string>>): readonly string[] {
    const domains = Object.entries(vms).map(([name, after]) => {
      return `  ${name}:\n    start-after: ${after}\n    nics: [{net: n}]\n    disks: [{name: root, type: template, template_name: t, dev: vda}]\n`;
    });
    const { value, issues } = parseInitFile(`domains:\n${domains.join('')}nets:\n  n: {management: true}\n`, 'f');
    return value === undefined ? issues.map(formatIssue) : planEnvironment(value, everythingExists({})).issues.map(formatIssue);
  }

  it('is kept in the definition, also when it is one name', () => {
    const text =
      'domains:\n  a: {start-after: b, nics: [{net: n}], disks: [{name: r, type: empty, size: 1G, dev: vda}]}\n  b: {nics: [{net: n}], disks: [{name: r, type: empty, size: 1G, dev: vda}]}\nnets: {n: {management: true}}';
    const { value } = parseInitFile(text, 'f');
    if (value === undefined) throw new Error('It cannot be read.');
    expect(planEnvironment(value, everythingExists({})).specs.vms.map((vm) => vm['start-after'])).toEqual([['b'], undefined]);
  });

  it('names VMs of the file', () => {
    expect(problems({ web: '[dbb]', db: '[]' })).toEqual([
      'f:3:19: error: domains.web.start-after[0]: There is no VM "dbb". Did you mean db?',
    ]);
    expect(problems({ web: '[database]', db: '[]' })).toEqual([
      'f:3:19: error: domains.web.start-after[0]: There is no VM "database". VMs of this file: web, db.',
    ]);
  });

  it('has no cycle', () => {
    expect(problems({ a: '[a]' })).toEqual([
      'f:3:5: error: domains.a.start-after: VM a cannot be started after itself. Leave out one of them.',
    ]);
    expect(problems({ a: '[b]', b: '[c]', c: '[a]', d: '[a]' })).toEqual([
      'f:3:5: error: domains.a.start-after: These VMs wait for each other: a after b after c after a. Leave out one of them.',
    ]);
  });
});
