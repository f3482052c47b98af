import { EngineError } from '../../../../src-shared/errors.ts';
import { hasControlCharacter } from '../../../../src-shared/init-file/loose.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { element, type XmlElement } from '../../core/xml/write-xml.ts';

/** Lago's default where the file gives no `vcpu`. */
const DEFAULT_VCPU = 2;

/** What is known about the host's processor; without it a named model gets no virtualization feature. */
export interface HostCpu {
  readonly vendor: string;
  readonly features: ReadonlySet<string>;
  /** Vendor of a CPU model in libvirt's map, undefined when it has none. */
  modelVendor(model: string): string | undefined;
}

export interface CpuContext {
  readonly accelerator: 'kvm' | 'tcg';
  readonly hostCpu?: HostCpu | undefined;
}

export function vcpuOf(vm: Pick<VmSpec, 'vcpu' | 'cpu'>): number {
  return vm.vcpu ?? vm.cpu ?? DEFAULT_VCPU;
}

/**
 * The VM's <cpu> by Lago 1.0's rules: `cpu_custom` as it is, `cpu_model` as an exact model, else the host's own CPU with the memory spread
 * over NUMA cells. Under TCG the largest CPU that QEMU can emulate, without `la57`, which slows it down.
 */
export function cpuXml(vm: VmSpec, context: CpuContext): XmlElement {
  const vcpu = vcpuOf(vm);
  const topology = element('topology', { sockets: vcpu, cores: 1, threads: 1 });
  if (vm.cpu_custom !== undefined) return customCpu(vm, topology);
  if (vm.cpu_model !== undefined) {
    const exact = context.accelerator === 'kvm';
    return element(
      'cpu',
      { match: 'exact', check: exact ? undefined : 'none' },
      element('model', exact ? {} : { fallback: 'allow' }, vm.cpu_model),
      topology,
      exact && virtualizationFeature(vm.cpu_model, context.hostCpu),
    );
  }
  if (context.accelerator === 'tcg')
    return element('cpu', { mode: 'maximum' }, topology, element('feature', { policy: 'disable', name: 'la57' }));
  return element('cpu', { mode: 'host-passthrough' }, topology, vcpu > 1 && numaXml(vcpu, vm.memory));
}

function virtualizationFeature(model: string, host: HostCpu | undefined): XmlElement | undefined {
  if (host === undefined || host.modelVendor(model) !== host.vendor) return undefined;
  const name = host.vendor === 'AMD' ? 'svm' : 'vmx';
  return host.features.has(name) ? element('feature', { policy: 'require', name }) : undefined;
}

/** Number of CPUs in each NUMA cell. */
export function numaCells(vcpu: number): readonly number[] {
  if (vcpu === 2) return [1, 1];
  if (vcpu === 4) return [2, 2];
  if (vcpu % 4 === 0) return Array.from({ length: vcpu / 4 }, () => 4);
  if (vcpu % 4 === 2) return Array.from({ length: 2 * Math.floor(vcpu / 4) + 1 }, () => 2);
  return Array.from({ length: vcpu }, () => 1);
}

function numaXml(vcpu: number, memory: number): XmlElement {
  const cells = numaCells(vcpu);
  const share = Math.floor(memory / cells.length);
  let first = 0;
  const children = cells.map((count, id) => {
    const cpus = count === 1 ? String(first) : `${first}-${first + count - 1}`;
    first += count;
    return element('cell', { id, cpus, memory: share, unit: 'MiB' });
  });
  return element('numa', {}, ...children);
}

function customCpu(vm: VmSpec, topology: XmlElement): XmlElement {
  const problem = cpuCustomProblem(vm.cpu_custom);
  if (problem !== undefined) throw new EngineError('input.invalid', `cpu_custom of VM ${vm.name}: ${problem}`);
  const [cpu] = toElements('cpu', unwrapped(vm.cpu_custom));
  if (cpu === undefined) throw new EngineError('input.invalid', `cpu_custom of VM ${vm.name} is empty.`);
  const hasTopology = cpu.children.some((child) => typeof child !== 'string' && child.name === 'topology');
  return vm.vcpu === undefined || hasTopology ? cpu : { ...cpu, children: [...cpu.children, topology] };
}

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

/** Why a mapping in xmltodict's style (`@name` attribute, `#text` text, list = repeated element) cannot become XML; undefined if it can. */
export function cpuCustomProblem(value: unknown, depth = 0): string | undefined {
  if (depth > 10) return 'It is nested too deeply.';
  if (Array.isArray(value)) return firstProblem(value, (item) => cpuCustomProblem(item, depth + 1));
  if (typeof value === 'string' && hasControlCharacter(value.replace(/[\n\t]/g, ''))) return 'A text in it holds control characters.';
  if (typeof value !== 'object' || value === null) return undefined;
  return firstProblem(Object.entries(value), ([key, inner]: readonly [string, unknown]) => {
    if (key === '#text' && typeof inner === 'object' && inner !== null) return '#text must be a single value.';
    if (key === '#text') return cpuCustomProblem(inner, depth + 1);
    const name = key.startsWith('@') ? key.slice(1) : key;
    if (!NAME.test(name)) return `${JSON.stringify(key.slice(0, 60))} is no name of an XML element or attribute.`;
    if (key.startsWith('@'))
      return typeof inner === 'object' && inner !== null
        ? `The attribute ${key} must be a single value.`
        : cpuCustomProblem(inner, depth + 1);
    return cpuCustomProblem(inner, depth + 1);
  });
}

function firstProblem<T>(items: readonly T[], check: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const problem = check(item);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function unwrapped(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === 'cpu' ? (value as { cpu: unknown }).cpu : value;
}

function toElements(name: string, value: unknown): readonly XmlElement[] {
  if (Array.isArray(value)) return value.flatMap((item: unknown) => toElements(name, item));
  if (typeof value !== 'object' || value === null) return [value === null ? element(name) : element(name, {}, printable(value))];
  const attributes: Record<string, string> = {};
  const children: (XmlElement | string)[] = [];
  for (const [key, inner] of Object.entries(value) as [string, unknown][]) {
    if (key === '#text') children.push(printable(inner));
    else if (key.startsWith('@')) attributes[key.slice(1)] = printable(inner);
    else children.push(...toElements(key, inner));
  }
  return [element(name, attributes, ...children)];
}

/** YAML reads `'@enabled': yes` as true; libvirt expects the word. */
function printable(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
