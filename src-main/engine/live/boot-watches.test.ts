import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type BootStageId, waitingStage } from '../../../src-shared/boot.ts';
import { silentLog } from '../core/log.ts';
import { type FakeGuest, loopbackDial, startFakeGuest } from '../guest/guest.fake.ts';
import { makePrefixKey } from '../guest/keys.ts';
import { domainXml } from '../libvirt/xml/domain-xml.ts';
import { domainName, type Prefix, readPrefix } from '../prefix/prefix.ts';
import { createWorld, UUID, writePrefix } from '../recipes/world.test-support.ts';
import { noteStart } from '../runtime/boot/boot-record.ts';
import { serialLogPath } from '../runtime/console/serial-log.ts';
import type { Observation } from '../runtime/observed/state.ts';
import type { HostSession } from '../runtime/session.ts';
import { type BootWatches, createBootWatches } from './boot-watches.ts';

const DOMAIN = domainName(UUID, 'vm0');
let folder: string;
let prefix: Prefix;
let guest: FakeGuest;
let session: HostSession;
let watches: BootWatches;
let changed: () => void = () => undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-boot-'));
  const root = join(folder, 'demo');
  await writePrefix(root);
  await makePrefixKey(root, 'test');
  prefix = await readPrefix(root);
  guest = await startFakeGuest({ run: (channel) => channel.exit(0) });
  const { context } = createWorld();
  const opened = await context.hosts.open(prefix, silentLog, new AbortController().signal);
  const dial = loopbackDial();
  session = { ...opened, host: { ...opened.host, dial: async (_, __, options) => await dial('127.0.0.1', guest.port, options) } };
  const [vm] = prefix.specs.vms;
  if (vm === undefined) throw new Error('no VM');
  await session.hypervisor.defineDomain(
    domainXml({ ...vm, nics: [] }, { prefixUuid: UUID, prefixPath: root, accelerator: 'tcg', nets: prefix.specs.nets, uuid: undefined }),
  );
  await noteStart(prefix.paths, 'vm0', { continued: false }, silentLog);
  await session.hypervisor.startDomain(DOMAIN);
  watches = createBootWatches(context, silentLog, () => changed());
});
afterEach(async () => {
  watches.close();
  await guest[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function look(): Promise<void> {
  const domains = await session.hypervisor.listDomains();
  watches.update(prefix, { session, domains, networks: [], foreign: new Map(), problem: null } satisfies Observation);
}

/** Waits until that stage is the one that the VM waits for; undefined: until it is up. */
async function until(stage: BootStageId | undefined): Promise<void> {
  for (;;) {
    const boot = watches.note('vm0')?.boot ?? null;
    if (boot !== null && waitingStage(boot)?.id === stage) return;
    await new Promise<void>((resolve) => (changed = resolve));
  }
}

async function print(text: string): Promise<void> {
  await appendFile(serialLogPath(prefix.paths, 'vm0'), text);
}

test('a VM is followed from its first output to its login, and again after a reboot', async () => {
  await look();
  await until('bootloader');
  expect(watches.note('vm0')).toMatchObject({ ssh: 'waiting', startedAt: expect.any(Number) as number });
  expect(guest.seen.filter((line) => line === 'connected').length).toBeLessThanOrEqual(1);
  await print('[    0.000000] Linux version 6.1\n');
  await until('address-asked');
  await print('\nvm0 login: ');
  await until(undefined);
  expect(watches.note('vm0')).toMatchObject({ ssh: 'ready', boot: { hang: null } });

  await look();
  watches.rebooted('another');
  expect(watches.note('vm0')?.ssh).toBe('ready');
  watches.rebooted(DOMAIN);
  expect(watches.note('vm0')?.ssh).toBe('waiting');
  await print('[    0.000000] Linux version 6.1\n\nvm0 login: ');
  await until(undefined);
});

test('what was printed before counts: a second window sees at once that the VM is up', async () => {
  await print('[    0.000000] Linux version 6.1\n\nvm0 login: ');
  await look();
  await until(undefined);
  expect(watches.note('vm0')?.boot?.stages.find(({ id }) => id === 'kernel')).toMatchObject({ state: 'done', at: null });
});

test('nothing is watched any more once the VM is off', async () => {
  await look();
  await until('bootloader');
  await session.hypervisor.destroyDomain(DOMAIN);
  await look();
  expect(watches.note('vm0')).toBeUndefined();
});
