import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { EngineError } from '../../../src-shared/errors.ts';
import { silentLog } from '../core/log.ts';
import type { GuestInterface } from '../libvirt/hypervisor.ts';
import { nicMac } from '../libvirt/xml/domain-xml.ts';
import { domainName, readPrefix } from '../prefix/prefix.ts';
import { createWorld, UUID, writePrefix } from '../recipes/world.test-support.ts';
import { type Observation, observe, prefixState } from '../runtime/observed/state.ts';
import type { HostSession } from '../runtime/session.ts';
import { createAddressBook } from './address-book.ts';

const DOMAIN = domainName(UUID, 'vm0');

test('addresses come from agent, leases and neighbours once a VM is up, and again when its agent answers', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lago-addresses-'));
  onTestFinished(async () => await rm(folder, { recursive: true, force: true }));
  const root = join(folder, 'demo');
  await writePrefix(root);
  const prefix = await readPrefix(root);
  const { hosts, plugins } = createWorld().context;
  const opened = await hosts.open(prefix, silentLog, new AbortController().signal);
  const { hypervisor } = opened;
  await hypervisor.defineDomain(`<domain><name>${DOMAIN}</name></domain>`);
  await hypervisor.startDomain(DOMAIN);

  const vm = prefix.specs.vms.find(({ name }) => name === 'vm0');
  const mac = vm?.nics[0] === undefined ? '' : nicMac(UUID, 'vm0', 0, vm.nics[0]);
  let agent: GuestInterface[] | undefined;
  const session: HostSession = {
    host: {
      ...opened.host,
      run: async () => {
        const stdout = `10.1.1.9 dev br lladdr ${mac} STALE\n10.1.1.8 dev br lladdr ${mac} FAILED\n10.1.1.7 dev br INCOMPLETE\n10.1.1.6 dev br lladdr 52:54:00:00:00:01 REACHABLE\n`;
        return await Promise.resolve({ code: 0, signal: null, stdout, stderr: '' });
      },
    },
    hypervisor: Object.assign(Object.create(hypervisor) as typeof hypervisor, {
      interfaceAddresses: async () => {
        if (agent === undefined) throw new EngineError('hypervisor.failed', 'The guest agent is not connected.');
        return await Promise.resolve(agent);
      },
      networkLeases: async () => await Promise.resolve([{ mac: mac.toUpperCase(), ip: '10.1.1.5', hostname: undefined, expiresAt: 0 }]),
    }),
  };
  const seen: Observation = { ...(await observe(prefix, hosts, { plugins, log: silentLog })), session };
  let changes = 0;
  const book = createAddressBook(silentLog, () => changes++);
  onTestFinished(() => book.close());
  const look = (up: boolean): void => book.update(prefix, seen, (name) => up && name === 'vm0');

  look(false);
  expect(book.of('vm0')).toEqual([]);
  look(true);
  const passive = [
    { nic: 0, ip: '10.1.1.5', source: 'lease' },
    { nic: 0, ip: '10.1.1.9', source: 'arp' },
  ];
  await expect.poll(() => book.of('vm0')).toEqual(passive);
  look(true);

  agent = [
    {
      name: 'eth0',
      mac,
      addresses: [
        { ip: '10.1.1.9', prefix: 24 },
        { ip: 'fe80::1', prefix: 64 },
      ],
    },
  ];
  book.agentAnswers(DOMAIN);
  await expect.poll(() => book.of('vm0').map(({ ip, source }) => `${ip} ${source}`)).toEqual(['10.1.1.9 agent', '10.1.1.5 lease']);
  expect(changes).toBe(2);

  const state = await prefixState(prefix, hosts, seen, { addresses: (name) => book.of(name) });
  expect(state.vms.find(({ name }) => name === 'vm0')?.nics[0]?.seen).toEqual([
    { ip: '10.1.1.9', source: 'agent' },
    { ip: '10.1.1.5', source: 'lease' },
  ]);
  book.update(prefix, { ...seen, domains: [] }, () => false);
  expect(book.of('vm0')).toEqual([]);
});
