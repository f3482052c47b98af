import { expect, it } from 'vitest';
import { VmSpec } from '../../../../src-shared/specs.ts';
import { neverRun } from '../../prefix/deploy-record.ts';
import { prefixPaths } from '../../prefix/layout.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { planDeploy } from './deploy-plan.ts';

const vm = (name: string, ...scripts: string[]): VmSpec =>
  VmSpec.parse({ name, metadata: { 'deploy-scripts': scripts.map((script) => `$LAGO_PREFIX_PATH/scripts/${script}`) } });
const prefix = {
  name: 'p',
  paths: prefixPaths('/p'),
  specs: { vms: [vm('web', '_a_setup.sh', '_b_setup.sh', 'two words.sh', '_a_setup.sh'), vm('db', 'db.sh'), vm('bare')], nets: [] },
} as unknown as Prefix;
const NONE = { version: 1 as const, vms: {} };
const firsts = (...args: Parameters<typeof planDeploy>): Record<string, number> =>
  Object.fromEntries(planDeploy(...args).runs.map(({ vm: { name }, first }) => [name, first]));

it('finds the first script by name, by the end of its name, or by number', () => {
  expect(firsts(prefix, NONE, {})).toEqual({ web: 0, db: 0 });
  expect(firsts(prefix, NONE, { from: '_b_setup.sh' })).toEqual({ web: 1 });
  expect(firsts(prefix, NONE, { from: 'b/setup.sh' })).toEqual({ web: 1 });
  expect(firsts(prefix, NONE, { from: 'words.sh' })).toEqual({ web: 2 });
  expect(firsts(prefix, NONE, { from: '4' })).toEqual({ web: 3 });
  expect(firsts(prefix, NONE, { from: '1', vms: ['db', 'db'] })).toEqual({ db: 0 });
  expect(() => planDeploy(prefix, NONE, { from: 'setup.sh' })).toThrow('several deploy scripts whose name ends in "setup.sh"');
  expect(() => planDeploy(prefix, NONE, { from: '5' })).toThrow('There is no deploy script "5".');
});

it('goes on at the first script that has not succeeded, of which the record must be about the same script', () => {
  const ok = (name: string): ReturnType<typeof neverRun> => ({ ...neverRun(name), state: 'ok', code: 0 });
  const record = { version: 1 as const, vms: { web: [ok('_a_setup.sh'), ok('other.sh')], db: [ok('db.sh')] } };
  expect(firsts(prefix, record, { from: true })).toEqual({ web: 1 });
  expect(planDeploy(prefix, record, { from: true }).runs[0]?.records.map(({ state }) => state)).toEqual([
    'ok',
    'pending',
    'pending',
    'pending',
  ]);
});

it('says why there is nothing to do', () => {
  expect(planDeploy(prefix, NONE, { vms: ['bare'] })).toEqual({ runs: [], notes: ['VM bare has no deploy scripts.'] });
  const empty = { ...prefix, specs: { vms: [vm('bare')], nets: [] } } as Prefix;
  expect(planDeploy(empty, NONE, {}).notes).toEqual(['No VM has deploy scripts.']);
  expect(() => planDeploy(prefix, NONE, { timeout: Number.NaN })).toThrow('more than 0 seconds');
});
