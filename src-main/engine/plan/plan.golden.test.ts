import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type InitFile, parseInitFile } from '../../../src-shared/init-file/parse.ts';
import { NetSpec, VmSpec } from '../../../src-shared/specs.ts';
import { readXml, type XmlElement } from '../core/xml/read-xml.ts';
import { lagoDomainXml, lagoNetworkXml } from '../libvirt/xml/lago-xml.test-support.ts';
import { everythingExists, TEST_UUID } from './plan.test-support.ts';
import { planEnvironment } from './plan.ts';

const fixtures = join(import.meta.dirname, '../../../fixtures/lago');

interface Golden {
  readonly result: { readonly init_rc: number; readonly init_error?: string };
  readonly env?: { readonly nets: string[]; readonly vms: string[] };
  readonly nets?: Record<string, Record<string, unknown>>;
  readonly vms?: Record<string, Record<string, unknown>>;
  readonly xml?: Record<string, string>;
}

const names = readdirSync(join(fixtures, 'init'));
const golden = new Map<string, Golden>();
for (const name of names) {
  const path = join(fixtures, 'golden', `${name}.json`);
  if (existsSync(path)) golden.set(name, JSON.parse(readFileSync(path, 'utf8')) as Golden);
}

function parse(name: string): ReturnType<typeof parseInitFile> {
  return parseInitFile(readFileSync(join(fixtures, 'init', name), 'utf8'), name);
}

function parsed(name: string): InitFile {
  const { value, issues } = parse(name);
  if (value === undefined) throw new Error(JSON.stringify(issues, null, 1));
  return value;
}

/** Lago saved numbers as written in the file ("2047"), no defaults, and no `management` on other networks. */
function asLagoSaved(ours: object, theirs: Record<string, unknown>): unknown {
  const saved: Record<string, unknown> = { ...(JSON.parse(JSON.stringify(ours)) as object) };
  for (const [key, value] of Object.entries(theirs)) {
    if (typeof value === 'string' && typeof saved[key] === 'number') saved[key] = String(saved[key]);
  }
  if (!('memory' in theirs)) delete saved['memory'];
  if (!('management' in theirs) && saved['management'] === false) delete saved['management'];
  return saved;
}

interface Tree {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
  readonly children: readonly Tree[];
}

function tree(element: XmlElement): Tree {
  return {
    name: element.name,
    attributes: Object.fromEntries([...element.attributes].sort()),
    text: element.text.trim(),
    children: element.children.map(tree),
  };
}

const initialised = [...golden].filter(([, { result }]) => result.init_rc === 0);

describe('what Lago 1.0 initialised', () => {
  it('is in the fixtures', () => {
    expect(initialised.length).toBeGreaterThan(40);
  });

  it.each(initialised.map(([name]) => name))('%s: the same specs', (name) => {
    const { nets, vms, env } = golden.get(name) as Required<Golden>;
    const { specs, issues } = planEnvironment(parsed(name), everythingExists());
    expect(issues.filter((issue) => issue.severity === 'error')).toEqual([]);
    expect(specs.nets.map((net) => net.name)).toEqual(env.nets);
    expect(specs.vms.map((vm) => vm.name)).toEqual(env.vms);
    for (const net of specs.nets) expect(asLagoSaved(net, nets[net.name] ?? {})).toEqual(nets[net.name]);
    for (const vm of specs.vms) expect(asLagoSaved(vm, vms[vm.name] ?? {})).toEqual(vms[vm.name]);
  });

  it.each(initialised.filter(([, { xml }]) => xml !== undefined).map(([name]) => name))('%s: the same XML', (name) => {
    const { xml } = golden.get(name) as Required<Golden>;
    const { specs } = planEnvironment(parsed(name), everythingExists());
    const context = { prefixUuid: TEST_UUID, prefixPath: '/srv/lago/.lago/default' };
    const ours = new Map<string, string>();
    for (const vm of specs.vms) ours.set(`dom-${vm.name}`, lagoDomainXml(vm, context));
    for (const net of specs.nets) {
      const text = lagoNetworkXml(net, TEST_UUID);
      ours.set(`net-${tree(readXml(text)).children[0]?.text.slice(5) ?? ''}`, text);
    }
    for (const [file, text] of Object.entries(xml)) expect(tree(readXml(ours.get(file) ?? '<missing/>'))).toEqual(tree(readXml(text)));
  });

  it.each(initialised.map(([name]) => name))('%s: specs survive being read again', (name) => {
    const { specs } = planEnvironment(parsed(name), everythingExists());
    for (const vm of specs.vms) expect(VmSpec.parse(JSON.parse(JSON.stringify(vm)))).toEqual(vm);
    for (const net of specs.nets) expect(NetSpec.parse(JSON.parse(JSON.stringify(net)))).toEqual(net);
  });
});

describe('what Lago saved', () => {
  it.each(initialised.map(([name]) => name))('%s: can be read', (name) => {
    const { nets, vms } = golden.get(name) as Required<Golden>;
    for (const vm of Object.values(vms)) expect(asLagoSaved(VmSpec.parse(vm), vm)).toEqual(vm);
    for (const net of Object.values(nets)) expect(asLagoSaved(NetSpec.parse(net), net)).toEqual(net);
  });

  it('by 0.29 too', () => {
    const virt = join(fixtures, 'prefix/status-prefix_skel/virt');
    const files = readdirSync(virt).filter((file) => file !== 'env');
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) {
      const saved: unknown = JSON.parse(readFileSync(join(virt, file), 'utf8'));
      expect((file.startsWith('net-') ? NetSpec : VmSpec).parse(saved).name).toBe(file.slice(file.indexOf('-') + 1));
    }
  });
});

describe('every other real file', () => {
  it.each(names.filter((name) => golden.get(name)?.result.init_rc !== 0))('%s: a plan or explained issues', (name) => {
    const { value, issues } = parse(name);
    const planned = value === undefined ? undefined : planEnvironment(value, everythingExists());
    const errors = [...issues, ...(planned?.issues ?? [])].filter((issue) => issue.severity === 'error');
    if (value === undefined) expect(errors.length).toBeGreaterThan(0);
    for (const issue of errors) {
      expect(issue.line).toBeGreaterThan(0);
      expect(issue.message.length).toBeGreaterThan(10);
    }
  });
});
