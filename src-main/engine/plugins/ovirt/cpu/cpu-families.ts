import { EngineError } from '../../../../../src-shared/errors.ts';
import type { Processor } from '../../contract.ts';

/** Vendor → model, both by libvirt's names → what oVirt calls the CPU type of a cluster. */
export type FamilyMap = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Version of an engine, or compatibility version of a cluster. */
export interface OvirtVersion {
  readonly major: number;
  readonly minor: number;
}

/** Until 3.6, as Lago 0.29 had them. */
const UNTIL_3_6: Readonly<Record<string, string>> = {
  'Broadwell-noTSX': 'Intel Broadwell-noTSX Family',
  Broadwell: 'Intel Broadwell Family',
  'Haswell-noTSX': 'Intel Haswell-noTSX Family',
  Haswell: 'Intel Haswell Family',
  SandyBridge: 'Intel SandyBridge Family',
  Westmere: 'Intel Westmere Family',
  Nehalem: 'Intel Nehalem Family',
  Penryn: 'Intel Penryn Family',
  Conroe: 'Intel Conroe Family',
  Opteron_G5: 'AMD Opteron G5',
  Opteron_G4: 'AMD Opteron G4',
  Opteron_G3: 'AMD Opteron G3',
  Opteron_G2: 'AMD Opteron G2',
  Opteron_G1: 'AMD Opteron G1',
};

/** What every processor was taken for that the first table does not have. */
const LEAST = 'Intel Conroe Family';

/** Since 4.4 there is one type for each generation of processors, and a secure one. */
const SINCE_4_4: FamilyMap = {
  AMD: {
    Opteron_G4: 'AMD Opteron G4',
    Opteron_G5: 'AMD Opteron G5',
    EPYC: 'AMD EPYC',
    'EPYC-IBPB': 'AMD EPYC',
    'EPYC-Rome': 'AMD EPYC',
    'EPYC-Milan': 'AMD EPYC',
    'EPYC-Genoa': 'AMD EPYC',
  },
  Intel: {
    Nehalem: 'Intel Nehalem Family',
    'Nehalem-IBRS': 'Intel Nehalem Family',
    Westmere: 'Intel Westmere Family',
    'Westmere-IBRS': 'Intel Westmere Family',
    SandyBridge: 'Intel SandyBridge Family',
    'SandyBridge-IBRS': 'Intel SandyBridge Family',
    IvyBridge: 'Intel IvyBridge Family',
    'IvyBridge-IBRS': 'Intel IvyBridge Family',
    'Haswell-noTSX': 'Intel Haswell Family',
    'Haswell-noTSX-IBRS': 'Intel Haswell Family',
    Haswell: 'Intel Haswell Family',
    'Haswell-IBRS': 'Intel Haswell Family',
    'Broadwell-noTSX': 'Intel Broadwell Family',
    'Broadwell-noTSX-IBRS': 'Intel Broadwell Family',
    Broadwell: 'Intel Broadwell Family',
    'Broadwell-IBRS': 'Intel Broadwell Family',
    'Skylake-Client': 'Intel Skylake Client Family',
    'Skylake-Client-IBRS': 'Intel Skylake Client Family',
    'Skylake-Client-noTSX-IBRS': 'Secure Intel Skylake Client Family',
    'Skylake-Server': 'Intel Skylake Server Family',
    'Skylake-Server-IBRS': 'Intel Skylake Server Family',
    'Skylake-Server-noTSX-IBRS': 'Secure Intel Skylake Server Family',
    'Cascadelake-Server': 'Intel Cascadelake Server Family',
    'Cascadelake-Server-noTSX': 'Secure Intel Cascadelake Server Family',
    Cooperlake: 'Intel Cascadelake Server Family',
    'Icelake-Server': 'Intel Icelake Server Family',
    'Icelake-Server-noTSX': 'Intel Icelake Server Family',
    SapphireRapids: 'Intel Icelake Server Family',
  },
};

/** From 4.0 to 4.3, as later Lago had them; processors that it did not know have their later names. */
const UNTIL_4_3: FamilyMap = {
  AMD: {
    ...SINCE_4_4['AMD'],
    Opteron_G1: 'AMD Opteron G1',
    Opteron_G2: 'AMD Opteron G2',
    Opteron_G3: 'AMD Opteron G3',
  },
  Intel: {
    ...SINCE_4_4['Intel'],
    Conroe: 'Intel Conroe Family',
    Penryn: 'Intel Penryn Family',
    'Nehalem-IBRS': 'Intel Nehalem-IBRS Family',
    'Westmere-IBRS': 'Intel Westmere-IBRS Family',
    'SandyBridge-IBRS': 'Intel SandyBridge-IBRS Family',
    IvyBridge: 'Intel SandyBridge Family',
    'IvyBridge-IBRS': 'Intel SandyBridge-IBRS Family',
    'Haswell-noTSX': 'Intel Haswell-noTSX Family',
    'Haswell-noTSX-IBRS': 'Intel Haswell-noTSX-IBRS Family',
    'Haswell-IBRS': 'Intel Haswell-IBRS Family',
    'Broadwell-noTSX': 'Intel Broadwell-noTSX Family',
    'Broadwell-noTSX-IBRS': 'Intel Broadwell-noTSX-IBRS Family',
    'Broadwell-IBRS': 'Intel Broadwell-IBRS Family',
    Broadwell: 'Intel Broadwell-noTSX Family',
    Skylake: 'Intel Skylake Family',
    'Skylake-IBRS': 'Intel Skylake-IBRS Family',
    'Skylake-Client': 'Intel Skylake Family',
  },
};

/** The CPU type of a cluster for hosts with this processor; `not-available` for one that oVirt does not have. */
export function builtInFamily(processor: Processor, version: OvirtVersion): string {
  if (version.major < 4) return UNTIL_3_6[processor.model] ?? LEAST;
  return familyIn(version.major === 4 && version.minor < 4 ? UNTIL_4_3 : SINCE_4_4, processor);
}

/** The CPU type that a map has for a processor. Without a vendor, it is the one vendor that has the model. */
export function familyIn(map: FamilyMap, { vendor, model }: Processor): string {
  const own = (key: string | null): Readonly<Record<string, string>> | undefined =>
    key !== null && Object.hasOwn(map, key) ? map[key] : undefined;
  const models = own(vendor ?? Object.keys(map).find((name) => Object.hasOwn(own(name) ?? {}, model)) ?? null);
  if (models === undefined && vendor !== null) {
    throw unsupported(`Unsupported CPU vendor: ${vendor}. Supported vendors: ${Object.keys(map).join(', ')}.`);
  }
  const family = models !== undefined && Object.hasOwn(models, model) ? models[model] : undefined;
  if (family !== undefined) return family;
  const known = Object.keys(models ?? Object.assign({}, ...Object.values(map)));
  throw unsupported(`Unsupported CPU model: ${model}. Supported models: ${known.join(', ')}.`);
}

function unsupported(message: string): EngineError {
  return new EngineError('not-available', message, {
    hint: 'Name its family in the metadata of the VM: ovirt-cpu-map: {VENDOR: {MODEL: FAMILY}}, or the name of a YAML file with that.',
  });
}
