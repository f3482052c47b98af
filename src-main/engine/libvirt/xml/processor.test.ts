import { describe, expect, it } from 'vitest';
import { bestProcessor, hostCpuOf, machineProcessor, vendorOf } from './processor.ts';

const capabilities = (cpu: string): string => `<capabilities><host><uuid>1</uuid><cpu>${cpu}</cpu></host></capabilities>`;
const domains = `<domainCapabilities><arch>x86_64</arch><cpu>
  <mode name='host-passthrough' supported='yes'/>
  <mode name='host-model' supported='yes'><model fallback='forbid'>EPYC-Rome</model><vendor>AMD</vendor>
    <feature policy='require' name='svm'/><feature policy='disable' name='la57'/></mode>
  <mode name='custom' supported='yes'>
    <model usable='no' vendor='Intel'>Westmere</model><model usable='yes' vendor='unknown'>qemu64</model><model usable='yes'>Penryn</model>
  </mode></cpu></domainCapabilities>`;

describe('processors by the names of libvirt', () => {
  it('are told of the machine', () => {
    expect(machineProcessor(capabilities('<arch>x86_64</arch><model>Haswell-noTSX</model><vendor>Intel</vendor>'))).toEqual({
      model: 'Haswell-noTSX',
      vendor: 'Intel',
    });
    expect(machineProcessor(capabilities('<model>qemu64</model>'))).toEqual({ model: 'qemu64', vendor: null });
    expect(machineProcessor(capabilities('<arch>x86_64</arch>'))).toBeUndefined();
  });

  it('are told of what is emulated', () => {
    expect(bestProcessor(domains)).toEqual({ model: 'EPYC-Rome', vendor: 'AMD' });
    expect(bestProcessor('<domainCapabilities/>')).toBeUndefined();
  });

  it('are told of a machine on which others are to run', () => {
    const cpu = hostCpuOf(domains);
    expect(cpu).toMatchObject({ vendor: 'AMD', features: new Set(['svm']) });
    expect([cpu?.modelVendor('Westmere'), cpu?.modelVendor('qemu64')]).toEqual(['Intel', undefined]);
    expect(hostCpuOf('<domainCapabilities><cpu><mode name="host-model" supported="no"/></cpu></domainCapabilities>')).toBeUndefined();
  });

  it.each([
    ['Westmere', 'Intel'],
    ['qemu64', null],
    ['Penryn', null],
    ['Unheard-of', null],
  ])('%s is by %s', (model, vendor) => {
    expect(vendorOf(model, domains)).toBe(vendor);
  });
});
