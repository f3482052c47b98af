import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PrefixState } from '../../../src-shared/state.ts';
import { createRegistry } from '../../engine/index.ts';
import { FORMATS, formatValue as formatBy } from './formats.ts';
import { statusModel } from './status-model.ts';

function formatValue(name: string, value: unknown): string {
  const format = createRegistry([], { builtIn: FORMATS }).find('output', name);
  if (format === undefined) throw new Error(`There is no format ${name}.`);
  return formatBy(format, value);
}

const fixtures = join(import.meta.dirname, 'fixtures');
const read = (name: string): string => readFileSync(join(fixtures, name), 'utf8');

interface LagoStatus {
  readonly Prefix: {
    readonly 'Base directory': string;
    readonly UUID: string;
    readonly Networks: Record<string, { gateway: string | null; management: boolean; status: 'up' | 'down' }>;
    readonly VMs: Record<
      string,
      {
        NICs: Record<string, { ip: string; network: string }>;
        distro: string | null;
        metadata: Record<string, unknown>;
        'root password': string | number;
        snapshots: string;
        status: 'running' | 'down';
      }
    >;
  };
}

/** Parses Lago's output back into a state. */
function stateOf({ Prefix: prefix }: LagoStatus): PrefixState {
  return {
    id: prefix.UUID,
    name: 'default',
    path: prefix['Base directory'],
    workdir: null,
    phase: 'ready',
    problem: null,
    initFile: null,
    host: { kind: 'embedded', uri: '', status: 'down', accelerator: 'unknown', uplink: 'none', problem: null },
    networks: Object.entries(prefix.Networks).map(([name, net]) => ({
      name,
      type: net.gateway === null ? 'bridge' : 'nat',
      status: net.status,
      gateway: net.gateway,
      management: net.management,
      dhcp: null,
      domain: null,
    })),
    vms: Object.entries(prefix.VMs).map(([name, vm]) => ({
      name,
      status: vm.status,
      distro: vm.distro,
      memory: 1024,
      vcpu: 2,
      ip: null,
      nics: Object.entries(vm.NICs).map(([nic, { ip, network }]) => ({ name: nic, network, ip: ip === 'N/A' ? null : ip, mac: null })),
      disks: [],
      snapshots: vm.snapshots === '' ? [] : vm.snapshots.split(', '),
      metadata: vm.metadata,
      boot: null,
      ssh: 'off',
      startedAt: null,
      crash: null,
      screen: false,
    })),
    snapshots: [],
    deploy: [],
    events: [],
    forkedFrom: null,
    diskUsage: 0,
    busy: null,
  };
}

/** The value that we print where the original printed `text`. */
function model(text: string): Record<string, unknown> {
  const printed = JSON.parse(text) as LagoStatus;
  const passwords = Object.entries(printed.Prefix.VMs).map(([name, vm]) => [name, vm['root password']] as const);
  return statusModel(stateOf(printed), Object.fromEntries(passwords));
}

describe('status as the original printed it', () => {
  const samples = readdirSync(fixtures).filter((name) => name.endsWith('.status.json'));
  it('has samples', () => expect(samples.length).toBe(5));
  it.each(samples)('%s as JSON, byte for byte', (name) => {
    const text = read(name);
    expect(formatValue('json', model(text))).toBe(text);
  });
  it.each(samples.filter((name) => name !== 'skeleton.status.json'))('%s as YAML, byte for byte', (name) => {
    expect(formatValue('yaml', model(read(name)))).toBe(read(name.replace('.json', '.yaml')));
  });
  it('in the default format', () => {
    expect(`${formatValue('default', model(read('skeleton.status.json')))}\n`).toBe(read('skeleton.status.txt'));
  });
  it('in the flat format', () => {
    expect(formatValue('flat', model(read('bridged.status.json'))).split('\n')).toEqual([
      'Base directory: @WORK@/.lago/default',
      'Networks/lft_net1/gateway: None',
      'Networks/lft_net1/management: True',
      'Networks/lft_net1/status: down',
      'UUID: aaaabbbbccccddddeeeeffff00001111',
      'VMs/lft_vm01/NICs/eth0/ip: N/A',
      'VMs/lft_vm01/NICs/eth0/network: lft_net1',
      'VMs/lft_vm01/distro: el7',
      'VMs/lft_vm01/root password: 123456',
      'VMs/lft_vm01/snapshots: ',
      'VMs/lft_vm01/status: down',
    ]);
  });
});

describe('the default format', () => {
  it.each([
    ['leaves out nulls, empty texts and empty mappings', { a: null, b: '', c: {}, d: 0, e: false }, 'd: 0\ne: False'],
    [
      'prints an empty list as a key with nothing',
      { metadata: { 'deploy-scripts': [], foo: 'bar' } },
      '[metadata]:\n    deploy-scripts: \n    foo: bar',
    ],
    ['puts list elements on lines of their own', { a: { list: ['x', 'y'] } }, '[a]:\n    list: \n        x\n        y'],
    ['prints a list one element a line', ['one', 'two'], 'one\ntwo'],
    ['sorts upper case before lower case', { b: 1, A: 2 }, 'A: 2\nb: 1'],
    ['prints an empty mapping in a mapping as its title', { a: { b: { c: null } } }, '[a]:\n    [b]:'],
    [
      'indents only the first line of a mapping in a list',
      { vm0: { one: [{ dev: 'vda', path: '/x' }] } },
      '[vm0]:\n    one: \n        dev: vda\npath: /x',
    ],
  ])('%s', (_, value, text) => expect(formatValue('default', value)).toBe(text));
});

describe('the flat format', () => {
  it.each([
    ['repeats the path for each list element', { a: { b: ['x', 'y'] } }, 'a/b: x\na/b: y'],
    ['drops empty mappings and lists', { a: {}, b: [], c: 1 }, 'c: 1'],
    ['prints names one a line', ['one', 'two'], 'one\ntwo'],
  ])('%s', (_, value, text) => expect(formatValue('flat', value)).toBe(text));
});

describe('the other formats', () => {
  it('prints lists', () => {
    expect(formatValue('json', ['a', 'b'])).toBe('[\n    "a",\n    "b"\n]');
    expect(formatValue('yaml', ['a', 'b'])).toBe('- a\n- b\n');
  });
  it('prints empty ones', () => {
    expect(formatValue('json', { vm0: {}, vm1: {} })).toBe('{\n    "vm0": {},\n    "vm1": {}\n}');
    expect(formatValue('json', [])).toBe('[]');
    expect(formatValue('yaml', [])).toBe('[]\n');
    expect(formatValue('yaml', { a: {}, b: [] })).toBe('a: {}\nb: []\n');
  });
  it('sorts keys that are numbers as text and escapes beyond ASCII', () => {
    expect(formatValue('json', { 10: 'é', 2: '\u007f😀' })).toBe('{\n    "10": "\\u00e9",\n    "2": "\\u007f\\ud83d\\ude00"\n}');
  });
  it('quotes numbers that are text', () => {
    expect(formatValue('yaml', { a: '123456', b: 123456, c: 'yes', d: true, e: null, f: '1:20', g: '0x1f' })).toBe(
      "a: '123456'\nb: 123456\nc: 'yes'\nd: true\ne: null\nf: '1:20'\ng: '0x1f'\n",
    );
  });
  it('writes every YAML that the original writer wrote', () => {
    const cases = JSON.parse(read('yaml-cases.json')) as [unknown, string][];
    expect(cases.length).toBeGreaterThan(100);
    for (const [value, text] of cases) expect(formatValue('yaml', value)).toBe(text);
  });
});
