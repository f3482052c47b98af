import { posix } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { readXml, type XmlElement } from '../core/xml/read-xml.ts';

/** The machine that an OVF document describes. */
export interface OvfMachine {
  /** MiB; undefined when the document does not say. */
  readonly memory: number | undefined;
  readonly vcpu: number | undefined;
  /** In the document's order, at least one. */
  readonly disks: readonly OvfDisk[];
}

export interface OvfDisk {
  /** Last part of the disk's path in the document; Lago's name of the disk. */
  readonly name: string;
  /** Its file name, one of `files`. */
  readonly file: string;
}

const PROCESSOR = '3';
const MEMORY = '4';
const DISK = '17';
const MAX_MEMORY = 16_777_216;
const MAX_VCPU = 512;

/** Units as written by oVirt, VMware, VirtualBox and the standard (DSP0004, "byte * 2^20"). */
const UNITS: Readonly<Record<string, number>> = {
  byte: 1,
  bytes: 1,
  b: 1,
  kb: 2 ** 10,
  kib: 2 ** 10,
  kilobytes: 2 ** 10,
  mb: 2 ** 20,
  mib: 2 ** 20,
  megabytes: 2 ** 20,
  gb: 2 ** 30,
  gib: 2 ** 30,
  gigabytes: 2 ** 30,
  tb: 2 ** 40,
  tib: 2 ** 40,
  terabytes: 2 ** 40,
};

/**
 * Reads an OVF document in oVirt's (`Content`, `Section xsi:type`) or the standard's form (`VirtualSystem`). `files` are the names of the
 * archive's files; a disk can only be one of them, whatever the document says. `location` is the document's own name in the archive. `what`
 * is the subject of messages. `remote.invalid` for documents that are damaged or use unsupported features: several VMs, disks that are
 * compressed, split, layered or without a file.
 */
export function readOvf(text: string, location: string, files: ReadonlySet<string>, what: string): OvfMachine {
  const envelope = readXml(text, { what: `The description in ${lower(what)}`, code: 'remote.invalid', maxLength: 4 * 1024 * 1024 });
  if (local(envelope.name) !== 'Envelope') throw refuse(what, 'its OVF file is no OVF document');
  const systems = envelope.children.filter((element) =>
    ['Content', 'VirtualSystem', 'VirtualSystemCollection'].includes(local(element.name)),
  );
  const [system] = systems;
  if (systems.length > 1 || (system !== undefined && isCollection(system))) throw refuse(what, 'We support only one vm in ova', true);
  const sections = (system === undefined ? [] : system.children).filter((element) => sectionType(element) === 'VirtualHardwareSection');
  const [hardware] = sections;
  if (hardware === undefined || sections.length > 1) throw refuse(what, 'We support only one machine desc in ova', true);
  const items = hardware.children.filter((element) => ['Item', 'StorageItem'].includes(local(element.name)));
  const catalogue = readCatalogue(envelope);
  const ofType = (type: string): readonly XmlElement[] => items.filter((item) => value(item, 'ResourceType') === type);
  const disks = ofType(DISK).map((item) => readDisk(item, catalogue, location, files, what));
  if (disks.length === 0) throw refuse(what, 'its VM has no disk');
  const [processor] = ofType(PROCESSOR);
  const [memory] = ofType(MEMORY);
  return {
    memory: memory === undefined ? undefined : readMemory(memory, what),
    vcpu: processor === undefined ? undefined : readVcpu(processor, what),
    disks,
  };
}

function lower(what: string): string {
  return what.replace(/^The /, 'the ');
}

function refuse(what: string, why: string, asLago = false): EngineError {
  const hint = 'Export it as one VM with one file per disk.';
  return new EngineError('remote.invalid', asLago ? `${why} (${lower(what)}).` : `${what} cannot be imported: ${why}.`, { hint });
}

function local(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

function attribute(element: XmlElement, name: string): string | undefined {
  for (const [key, text] of element.attributes) if (local(key) === name) return text;
  return undefined;
}

function value(item: XmlElement, name: string): string | undefined {
  const text = item.children.find((child) => local(child.name) === name)?.text.trim();
  return text === '' ? undefined : text;
}

/** The type of a section, from its name or, in oVirt's documents, its type attribute. */
function sectionType(element: XmlElement): string {
  const name = local(element.name);
  return name === 'Section' ? local(attribute(element, 'type') ?? '').replace(/_Type$/, '') : name;
}

function isCollection(system: XmlElement): boolean {
  return local(system.name) === 'VirtualSystemCollection' || local(attribute(system, 'type') ?? '') === 'VirtualSystemCollection_Type';
}

interface Catalogue {
  readonly disks: ReadonlyMap<string, XmlElement>;
  readonly files: ReadonlyMap<string, XmlElement>;
}

function readCatalogue(envelope: XmlElement): Catalogue {
  const named = (elements: readonly XmlElement[], name: string, key: string): Map<string, XmlElement> =>
    new Map(elements.filter((element) => local(element.name) === name).map((element) => [attribute(element, key) ?? '', element]));
  const sections = (type: string): readonly XmlElement[] =>
    envelope.children.filter((element) => sectionType(element) === type).flatMap((section) => section.children);
  return { disks: named(sections('DiskSection'), 'Disk', 'diskId'), files: named(sections('References'), 'File', 'id') };
}

function readDisk(item: XmlElement, catalogue: Catalogue, location: string, files: ReadonlySet<string>, what: string): OvfDisk {
  const resource = value(item, 'HostResource');
  if (resource === undefined) throw refuse(what, 'a disk of its VM names no file');
  const shown = JSON.stringify(resource.slice(0, 200));
  const folder = posix.dirname(location);
  const standard = /^(?:ovf:)?\/{0,2}(disk|file)\/(.+)$/.exec(resource);
  if (standard !== null) {
    const [, kind, id = ''] = standard;
    const disk = kind === 'disk' ? catalogue.disks.get(id) : undefined;
    if (kind === 'disk' && disk === undefined) throw refuse(what, `its VM has a disk ${shown} that is described nowhere`);
    if ((disk === undefined ? '' : (attribute(disk, 'parentRef') ?? '')) !== '')
      throw refuse(what, `its disk ${shown} is a layer over another one`);
    const fileId = disk === undefined ? id : attribute(disk, 'fileRef');
    if (fileId === undefined) throw refuse(what, `its disk ${shown} has no file`);
    const file = catalogue.files.get(fileId);
    if (file === undefined)
      throw refuse(what, `its disk ${shown} is of a file ${JSON.stringify(fileId.slice(0, 200))} that is described nowhere`);
    if (!['', 'identity'].includes(attribute(file, 'compression') ?? '')) throw refuse(what, `its disk ${shown} is compressed`);
    if ((attribute(file, 'chunkSize') ?? '') !== '') throw refuse(what, `its disk ${shown} is in pieces`);
    const href = attribute(file, 'href') ?? '';
    return { name: posix.basename(href), file: find([posix.join(folder, href), href], files, href, what) };
  }
  // oVirt: the volume's path below images/ in older exports, beside the document in newer ones.
  const candidates = [posix.join('images', resource), posix.join(folder, resource), resource, posix.basename(resource)];
  return { name: posix.basename(resource), file: find(candidates, files, resource, what) };
}

function find(candidates: readonly string[], files: ReadonlySet<string>, wanted: string, what: string): string {
  const found = candidates.find((name) => files.has(name));
  if (found !== undefined) return found;
  throw refuse(what, `the file ${JSON.stringify(wanted.slice(0, 200))} of a disk is not in it`);
}

function wholeNumber(item: XmlElement, name: string, what: string): number | undefined {
  const text = value(item, name);
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw refuse(what, `${name} is ${JSON.stringify(text.slice(0, 60))}, which is no number`);
  return Number(text);
}

function readVcpu(item: XmlElement, what: string): number {
  const cores = wholeNumber(item, 'cpu_per_socket', what);
  const sockets = wholeNumber(item, 'num_of_sockets', what);
  const vcpu = cores !== undefined && sockets !== undefined ? cores * sockets : (wholeNumber(item, 'VirtualQuantity', what) ?? 1);
  if (vcpu >= 1 && vcpu <= MAX_VCPU) return vcpu;
  throw refuse(what, `its VM has ${vcpu} CPUs`);
}

/** Rounded up to MiB. */
function readMemory(item: XmlElement, what: string): number {
  const quantity = wholeNumber(item, 'VirtualQuantity', what);
  if (quantity === undefined) throw refuse(what, 'it does not say how much memory its VM has');
  const unit = value(item, 'AllocationUnits') ?? 'MegaBytes';
  const bytes = bytesOfUnit(unit);
  if (bytes === undefined) throw refuse(what, `the memory of its VM is in the unknown unit ${JSON.stringify(unit.slice(0, 60))}`);
  const memory = Math.ceil((quantity * bytes) / 2 ** 20);
  if (memory >= 1 && memory <= MAX_MEMORY) return memory;
  throw refuse(what, `its VM has ${memory} MiB of memory`);
}

function bytesOfUnit(unit: string): number | undefined {
  const named = UNITS[unit.toLowerCase()];
  if (named !== undefined) return named;
  const power = /^bytes?\s*\*\s*(2|10)\s*\^\s*(\d{1,2})$/i.exec(unit);
  return power === null ? undefined : Number(power[1]) ** Number(power[2]);
}
