import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { silentLog } from '../core/log.ts';
import type { Prefix } from '../prefix/prefix.ts';
import { domainName } from '../prefix/prefix.ts';
import type { Observation } from '../runtime/state.ts';
import { createSshWatch } from './ssh-watch.ts';

const UUID = 'aaaabbbbccccddddeeeeffff00001111';

it('checks ssh again when the guest has rebooted, and counts from then', async () => {
  const waiting: Socket[] = [];
  let asked: () => void = () => undefined;
  const server = createServer((socket) => {
    waiting.push(socket);
    socket.on('error', () => undefined); // the watch may hang up at any time
    asked();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const host = { dial: async () => await Promise.resolve(connect(port, '127.0.0.1')) };
  const vm = { name: 'web', nics: [{ net: 'n', ip: '192.168.200.2' }], mgmt_net: 'n' };
  const prefix = { uuid: UUID, specs: { vms: [vm], nets: [{ name: 'n', type: 'nat', management: true }] } } as unknown as Prefix;
  const domains = [{ name: domainName(UUID, 'web'), uuid: '', id: 7, state: 'running', reason: 1, persistent: true }];
  const seen = { session: { host }, domains, networks: [], foreign: new Map() } as unknown as Observation;
  let changed: () => void = () => undefined;
  const watch = createSshWatch(silentLog, () => changed());
  onTestFinished(() => watch.close());

  async function answerOne(): Promise<void> {
    const ready = new Promise<void>((resolve) => (changed = resolve));
    if (waiting.length === 0) await new Promise<void>((resolve) => (asked = resolve));
    waiting.shift()?.end('SSH-2.0-test\r\n');
    await ready;
  }

  watch.update(prefix, seen);
  expect(watch.note('web')).toMatchObject({ ssh: 'waiting', startedAt: null });
  await answerOne();
  expect(watch.note('web')).toMatchObject({ ssh: 'ready', startedAt: null });

  watch.rebooted('another');
  watch.update(prefix, seen);
  expect(watch.note('web')).toMatchObject({ ssh: 'ready' });

  watch.rebooted(domainName(UUID, 'web'));
  watch.update(prefix, seen);
  expect(watch.note('web')).toMatchObject({ ssh: 'waiting', startedAt: expect.any(Number) as number });
  await answerOne();
  expect(watch.note('web')).toMatchObject({ ssh: 'ready', startedAt: expect.any(Number) as number });
});
