import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { networkName } from '../libvirt/xml/network-xml.ts';
import { type Prefix, readPrefix } from '../prefix/prefix.ts';
import { createWorld, writePrefix } from '../recipes/world.test-support.ts';
import { type Observation, observe, prefixState } from '../runtime/observed/state.ts';
import { createServerWatch } from './server-watch.ts';

interface Started {
  readonly prefix: Prefix;
  readonly seen: Observation;
  readonly problems: () => Promise<readonly (string | undefined)[]>;
}

/** An environment whose management network is up; `lives` says whether its server does. */
async function started(lives: () => boolean | undefined): Promise<Started> {
  const folder = await mkdtemp(join(tmpdir(), 'lago-servers-'));
  onTestFinished(async () => await rm(folder, { recursive: true, force: true }));
  const root = join(folder, 'demo');
  await writePrefix(root);
  const world = createWorld();
  const prefix = await readPrefix(root);
  const { hosts, plugins } = world.context;
  const { hypervisor, host } = await hosts.open(prefix, silentLog, new AbortController().signal);
  Object.assign(host, { daemonLives: lives });
  const [net] = prefix.specs.nets;
  const network = networkName(prefix.uuid, net?.name ?? '');
  await hypervisor.defineNetwork(`<network><name>${network}</name></network>`);
  await hypervisor.startNetwork(network);
  const look = async (): Promise<Observation> => await observe(prefix, hosts, { plugins, log: silentLog });
  return {
    prefix,
    seen: await look(),
    problems: async () => (await prefixState(prefix, hosts, await look())).networks.map(({ problem }) => problem),
  };
}

test('a server that dies is noticed once, and so is its return', async () => {
  let lives = true;
  const asked: string[] = [];
  const { prefix, seen, problems } = await started(() => lives);
  const host = seen.session?.host;
  const watch = createServerWatch(silentLog, () => asked.push(String(host?.daemonLives?.('x'))), 2);
  onTestFinished(() => watch.close());
  watch.update(prefix, seen);
  expect((await problems()).filter((problem) => problem !== undefined)).toEqual([]);
  lives = false;
  await expect.poll(() => asked).toEqual(['false']);
  expect(await problems()).toContainEqual(
    expect.stringContaining('does not run: VMs get neither addresses nor names. “lago start” starts'),
  );
  watch.update(prefix, seen);
  lives = true;
  await expect.poll(() => asked).toEqual(['false', 'true']);
});

test('where it cannot be seen, nothing is claimed', async () => {
  const { problems } = await started(() => undefined);
  expect((await problems()).filter((problem) => problem !== undefined)).toEqual([]);
});
