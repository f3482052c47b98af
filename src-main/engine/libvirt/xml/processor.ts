import { childrenXml, findXml, readXml, textXml, type XmlElement } from '../../core/xml/read-xml.ts';
import type { HostCpu } from './cpu.ts';

/** A processor by libvirt's names. */
export interface Processor {
  /** As in libvirt's maps: `Haswell-noTSX`, `EPYC`. */
  readonly model: string;
  /** `Intel`, `AMD`; null when libvirt does not tell it. */
  readonly vendor: string | null;
}

/** The machine's own, from libvirt's capabilities: what a guest has by `host-passthrough`. Undefined when libvirt knows no model for it. */
export function machineProcessor(capabilities: string): Processor | undefined {
  return processorIn(findXml(readXml(capabilities), 'host', 'cpu'));
}

/** The best that a kind of VM can have, from the capabilities of its domains: under TCG what QEMU emulates. */
export function bestProcessor(domainCapabilities: string): Processor | undefined {
  return processorIn(modeOf(domainCapabilities, 'host-model'));
}

/** Vendor of a model, from the capabilities of domains; null for one that has none, and before libvirt 8.9. */
export function vendorOf(model: string, domainCapabilities: string): string | null {
  const custom = modeOf(domainCapabilities, 'custom');
  const models = custom === undefined ? [] : childrenXml(custom, 'model');
  const vendor = models.find((one) => one.text.trim() === model)?.attributes.get('vendor');
  return vendor === undefined || vendor === 'unknown' ? null : vendor;
}

/** What is known of the machine where VMs are to have a model of their own, from the capabilities of domains. */
export function hostCpuOf(domainCapabilities: string): HostCpu | undefined {
  const best = modeOf(domainCapabilities, 'host-model');
  const vendor = processorIn(best)?.vendor;
  if (best === undefined || vendor === undefined || vendor === null) return undefined;
  const required = childrenXml(best, 'feature').filter(({ attributes }) => attributes.get('policy') === 'require');
  return {
    vendor,
    features: new Set(required.flatMap(({ attributes }) => attributes.get('name') ?? [])),
    modelVendor: (model) => vendorOf(model, domainCapabilities) ?? undefined,
  };
}

function modeOf(domainCapabilities: string, name: string): XmlElement | undefined {
  const cpu = findXml(readXml(domainCapabilities), 'cpu');
  return cpu === undefined ? undefined : childrenXml(cpu, 'mode').find(({ attributes }) => attributes.get('name') === name);
}

function processorIn(element: XmlElement | undefined): Processor | undefined {
  const model = element === undefined ? undefined : textXml(element, 'model');
  if (element === undefined || model === undefined || model === '') return undefined;
  return { model, vendor: textXml(element, 'vendor') ?? null };
}
