import { describe, expect, test } from 'vitest';
import { machineProblem, type NeededMachine, neededMachine, parseProcessor } from './machine.ts';

const INTEL = { vendor: 'GenuineIntel', model: 'Xeon', flags: ['sse2', 'avx2', 'ibrs_enhanced', 'hwp_epp', 'tm'] };
const NEEDED: NeededMachine = { accelerator: 'kvm', types: ['pc-i440fx-7.2'], processor: INTEL, qemu: '7.2.19' };
const HERE = { accelerator: 'kvm', processor: INTEL, qemu: '7.2.4' } as const;

describe('what memory needs of a machine', () => {
  test.each([
    ['the same one', HERE, undefined],
    ['one with more', { ...HERE, processor: { ...INTEL, model: 'Newer', flags: ['sse2', 'avx2', 'avx512f'] }, qemu: '8.2.0' }, undefined],
    ['one with an older kernel', { ...HERE, processor: { ...INTEL, flags: ['sse2', 'avx2', 'retpoline'] } }, undefined],
    ['one of which the QEMU is not known', { ...HERE, qemu: '' }, undefined],
    ['one without KVM', { ...HERE, accelerator: 'tcg' }, 'The VMs ran with hardware virtualization (KVM), and would not here'],
    ['one with an older QEMU', { ...HERE, qemu: '7.1.90' }, 'written by QEMU 7.2.19, and QEMU is older here (7.1.90)'],
    ['one with a lesser processor', { ...HERE, processor: { ...INTEL, flags: ['sse2'] } }, 'missing: avx2'],
    ['one of another vendor', { ...HERE, processor: { ...INTEL, vendor: 'AuthenticAMD' } }, 'this machine has another one'],
  ] as const)('%s', (_, here, message) => {
    const problem = machineProblem(NEEDED, { ...here, processor: { ...here.processor, flags: [...here.processor.flags] } });
    if (message === undefined) expect(problem).toBeUndefined();
    else expect(problem).toMatchObject({ code: 'not-available', message: expect.stringContaining(message) as string });
  });

  test('is read from the descriptions of the VMs', async () => {
    const xml = (type: string, cpu: string): string =>
      `<domain type='${type}'><os><type machine='pc-i440fx-7.2'>hvm</type></os><cpu mode='${cpu}'/></domain>`;
    const { signal } = new AbortController();
    expect(await neededMachine([], signal)).toBeNull();
    expect(await neededMachine([xml('qemu', 'maximum')], signal)).toMatchObject({
      accelerator: 'tcg',
      types: ['pc-i440fx-7.2'],
      processor: null,
      qemu: expect.stringMatching(/^\d+\.\d+/) as string,
    });
    const own = await neededMachine([xml('kvm', 'host-passthrough')], signal);
    expect(own?.processor?.flags.length).toBeGreaterThan(10);
  });

  test('a processor is read as the kernel tells it', () => {
    const text = 'processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R)\nflags\t\t: fpu sse2\n\nprocessor\t: 1\n';
    expect(parseProcessor(text)).toEqual({ vendor: 'GenuineIntel', model: 'Intel(R) Xeon(R)', flags: ['fpu', 'sse2'] });
    expect(parseProcessor('')).toBeNull();
  });
});
