import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { VmSpec } from '../../../../../src-shared/specs.ts';
import type { Engine, Processor } from '../../contract.ts';
import { fakeCall } from '../verb-call.test-support.ts';
import { builtInFamily, type OvirtVersion } from './cpu-families.ts';
import { cpuFamily, parseVersion } from './cpu-family.ts';

const folder = mkdtempSync(join(tmpdir(), 'lago-cpu-map-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const intel = (model: string): Processor => ({ vendor: 'Intel', model });
const amd = (model: string): Processor => ({ vendor: 'AMD', model });
const version = (text: string): OvirtVersion => parseVersion(text) ?? expect.unreachable(text);

describe('the built-in families', () => {
  it.each<[string, Processor, string]>([
    ['3.6', intel('Broadwell'), 'Intel Broadwell Family'],
    ['3.6', intel('Broadwell-noTSX'), 'Intel Broadwell-noTSX Family'],
    ['3.6', intel('Haswell-noTSX'), 'Intel Haswell-noTSX Family'],
    ['3.6', intel('Penryn'), 'Intel Penryn Family'],
    ['3.6', amd('Opteron_G3'), 'AMD Opteron G3'],
    ['3.6', amd('EPYC'), 'Intel Conroe Family'],
    ['3.6', { vendor: null, model: 'qemu64' }, 'Intel Conroe Family'],
    ['4.2', intel('Broadwell'), 'Intel Broadwell-noTSX Family'],
    ['4.2', intel('IvyBridge'), 'Intel SandyBridge Family'],
    ['4.2', intel('Nehalem-IBRS'), 'Intel Nehalem-IBRS Family'],
    ['4.2', intel('Skylake-Client'), 'Intel Skylake Family'],
    ['4.2', intel('Conroe'), 'Intel Conroe Family'],
    ['4.3', intel('Cascadelake-Server'), 'Intel Cascadelake Server Family'],
    ['4.4', intel('Haswell-noTSX'), 'Intel Haswell Family'],
    ['4.7', intel('Skylake-Server-noTSX-IBRS'), 'Secure Intel Skylake Server Family'],
    ['4.7', amd('EPYC-Rome'), 'AMD EPYC'],
    ['4.7', { vendor: null, model: 'Westmere' }, 'Intel Westmere Family'],
  ])('of %s have %o as %s', (level, processor, family) => {
    expect(builtInFamily(processor, version(level))).toBe(family);
  });

  it.each<[Processor, RegExp]>([
    [{ vendor: 'Hygon', model: 'Dhyana' }, /^Unsupported CPU vendor: Hygon\. Supported vendors: AMD, Intel\.$/],
    [intel('486'), /^Unsupported CPU model: 486\. Supported models: Nehalem, /],
    [{ vendor: null, model: 'qemu64' }, /^Unsupported CPU model: qemu64\. Supported models: Opteron_G4, .*Westmere/],
    [intel('toString'), /^Unsupported CPU model: toString/],
    [{ vendor: 'constructor', model: 'name' }, /^Unsupported CPU vendor: constructor/],
  ])('do not have %o, and say so', (processor, message) => {
    const asked = (): string => builtInFamily(processor, version('4.4'));
    expect(asked).toThrow(expect.objectContaining({ code: 'not-available', message: expect.stringMatching(message) as string }) as Error);
  });
});

describe('the family of an environment', () => {
  const vm = (name: string, type: string, metadata: Record<string, unknown> = {}): VmSpec =>
    VmSpec.parse({ name, 'vm-type': type, metadata });
  const processors: Record<string, Processor> = { 'host-0': intel('Nehalem'), 'host-1': intel('Westmere'), engine: amd('Opteron_G5') };
  const engine = {
    vm: { processor: async (_: string, name: string) => await Promise.resolve(processors[name]) },
  } as unknown as Engine;

  async function ask(vms: readonly VmSpec[], asked: { vm?: string; level?: string } = {}, environment = {}): Promise<string> {
    const { call } = fakeCall({ prefix: folder, specs: { vms, nets: [] } });
    const prefix = await call.prefix();
    const at = asked.level === undefined ? undefined : version(asked.level);
    return await cpuFamily({ ...call, environment }, { engine, prefix, vm: asked.vm, version: at, signal: call.signal });
  }

  it('is that of its last host, of its engine without hosts, or of the VM that is named', async () => {
    const all = [vm('engine', 'ovirt-engine'), vm('host-0', 'ovirt-host'), vm('host-1', 'ovirt-he-host'), vm('web', 'default')];
    expect(await ask(all)).toBe('Intel Westmere Family');
    expect(await ask(all, { vm: 'host-0' })).toBe('Intel Nehalem Family');
    expect(await ask(all.slice(0, 1))).toBe('AMD Opteron G5');
    await expect(ask([vm('web', 'default')])).rejects.toMatchObject({ message: 'No Engine or Host VMs found.' });
    await expect(ask(all, { vm: 'host-7' })).rejects.toMatchObject({ code: 'vm.missing' });
  });

  it('is what the VM’s own map says, in the init file or in a file, for every version', async () => {
    const own = { Intel: { Nehalem: 'Mine' } };
    writeFileSync(join(folder, 'map.yaml'), 'Intel:\n  Nehalem: Of the file\n');
    expect(await ask([vm('host-0', 'ovirt-host', { 'ovirt-cpu-map': own })], { level: '3.6' })).toBe('Mine');
    expect(await ask([vm('host-0', 'ovirt-host', { 'ovirt-cpu-map': 'map.yaml' })])).toBe('Of the file');
    const named = vm('host-0', 'ovirt-host', { 'ovirt-cpu-map': '${MAPS}/map.yaml' });
    expect(await ask([named], {}, { MAPS: folder })).toBe('Of the file');
    expect(await ask([vm('host-0', 'ovirt-host', { 'ovirt-cpu-map': '~/map.yaml' })], {}, { HOME: folder })).toBe('Of the file');
    await expect(ask([vm('host-1', 'ovirt-host', { 'ovirt-cpu-map': own })])).rejects.toMatchObject({
      message: 'Unsupported CPU model: Westmere. Supported models: Nehalem.',
    });
  });

  it.each<[string, string | undefined, unknown, string, RegExp]>([
    ['is missing', undefined, 'none.yaml', 'input.missing-file', /^ovirt-cpu-map of VM host-0: .*none\.yaml cannot be read\.$/],
    ['is no YAML', 'a: [', 'broken.yaml', 'input.invalid', /broken\.yaml is not YAML: /],
    ['is a list', '- a', 'list.yaml', 'input.invalid', /^ovirt-cpu-map of VM host-0 \(.*list\.yaml\) is no map of CPU families\.$/],
    ['has numbers', undefined, { Intel: { Nehalem: 1 } }, 'input.invalid', /^ovirt-cpu-map of VM host-0 is no map of CPU families\.$/],
  ])('says that a map %s', async (_, content, given, code, message) => {
    if (content !== undefined) writeFileSync(join(folder, String(given)), content);
    const asked = ask([vm('host-0', 'ovirt-host', { 'ovirt-cpu-map': given })]);
    await expect(asked).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });
});
