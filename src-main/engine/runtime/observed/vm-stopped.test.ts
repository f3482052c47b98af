import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createFakeHypervisor, type FakeHypervisor } from '../../libvirt/hypervisor.fake.ts';
import { VmStream } from './vm-stopped.ts';

const OF = { domain: 'x-web', vm: 'web' };

async function running(): Promise<{ readonly fake: FakeHypervisor; readonly raw: PassThrough; readonly stream: VmStream }> {
  const fake = createFakeHypervisor();
  await fake.defineDomain('<domain><name>x-web</name></domain>');
  await fake.startDomain('x-web');
  const raw = new PassThrough();
  const stream = new VmStream(raw, fake, OF);
  return { fake, raw, stream };
}

describe('a stream of a VM', () => {
  it('carries bytes both ways', async () => {
    const { stream } = await running();
    const echo = once(stream, 'data') as Promise<[Buffer]>;
    stream.write('hello');
    expect(String((await echo)[0])).toBe('hello');
    stream.destroy();
  });

  it.each([
    ['stopped', 'VM web was stopped.', async (fake: FakeHypervisor) => await fake.destroyDomain('x-web')],
    ['shut down', 'VM web was shut down.', async (fake: FakeHypervisor) => await fake.shutdownDomain('x-web')],
    ['killed', 'VM web crashed.', async (fake: FakeHypervisor) => await Promise.resolve(fake.model.crashDomain('x-web'))],
  ])('says that the VM was %s', async (_, message, act) => {
    const { fake, raw, stream } = await running();
    const failed = once(stream, 'error') as Promise<[Error]>;
    await act(fake);
    expect((await failed)[0]).toMatchObject({ code: 'vm.not-running', message });
    expect(raw.destroyed).toBe(true);
  });

  it('reports it even when its bytes end before libvirt has noticed', async () => {
    const { fake, raw, stream } = await running();
    const failed = once(stream, 'error') as Promise<[Error]>;
    stream.resume();
    const asked = once(raw, 'close');
    raw.end();
    await asked;
    await fake.destroyDomain('x-web');
    expect((await failed)[0].message).toBe('VM web was stopped.');
  });

  it('reports it when libvirt has noticed before', async () => {
    const fake = createFakeHypervisor();
    await fake.defineDomain('<domain><name>x-web</name></domain>');
    const raw = new PassThrough();
    const stream = new VmStream(raw, fake, OF);
    const failed = once(stream, 'error') as Promise<[Error]>;
    raw.destroy(new Error('hung up'));
    expect((await failed)[0].message).toBe('VM web was stopped.');
  });

  it('ends with the answer to the end of its input', async () => {
    const fake = createFakeHypervisor();
    await fake.defineDomain('<domain><name>x-web</name></domain>');
    await fake.startDomain('x-web');
    const raw = new PassThrough();
    const stream = new VmStream(raw, fake, OF, () => new Error('taken'));
    stream.resume();
    stream.end('x');
    await once(stream, 'close');
    expect([stream.errored, raw.destroyed]).toEqual([null, true]);
  });

  it('ends with its bytes while the VM runs on', async () => {
    const { raw, stream } = await running();
    const failed = once(stream, 'error') as Promise<[Error]>;
    raw.destroy(new Error('taken by another'));
    expect((await failed)[0].message).toBe('taken by another');
  });
});
