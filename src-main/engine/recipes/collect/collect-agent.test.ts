import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CollectedArtifact, Collection } from '../../../../src-shared/collection.ts';
import { type Step, startOperation } from '../../core/operation.ts';
import { createFakeAgent, type FakeAgent } from '../../guest/agent.fake.ts';
import { findAgent } from '../../guest/agent.ts';
import { makePrefixKey } from '../../guest/keys.ts';
import { readPrefix, writeSpecs } from '../../prefix/prefix.ts';
import { startEnvironment } from '../lifecycle.ts';
import { createWorld, type World, writePrefix } from '../world.test-support.ts';
import { collectArtifacts, namedArtifacts } from './collect.ts';
import { collectByAgent } from './collect-agent.ts';

// VMs that run and whose ssh does not answer. The agent's guest is this machine.

let folder: string;
let root: string;
let world: World;
let lines: string[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lago-agent-'));
  root = join(folder, 'env');
  mkdirSync(root);
  lines = [];
  world = createWorld();
  await writePrefix(root);
  await makePrefixKey(root, 'test');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** vm0 runs and wants these paths. */
async function running(...paths: string[]): Promise<void> {
  const prefix = await readPrefix(root);
  const vms = prefix.specs.vms.map((vm) => (vm.name === 'vm0' ? { ...vm, artifacts: paths } : vm));
  await writeSpecs(prefix.paths, { ...prefix.specs, vms });
  await startOperation({ kind: 'start', label: 'Start' }, async (step) => await startEnvironment(world.context, root, ['vm0'], step)).done;
}

function use(agent: FakeAgent): FakeAgent {
  world.agentAnswers = (command) => agent.answer(command);
  return agent;
}

async function collect(): Promise<Collection> {
  const operation = startOperation({ kind: 'collect', label: 'Collect' }, async (step) => {
    return await collectArtifacts(world.context, root, {}, step);
  });
  operation.onLine((line) => lines.push(line));
  return await operation.done;
}

/** Files that the agent has packed and that are still there. */
const packed = (): readonly string[] =>
  ['/tmp', '/var/tmp'].flatMap((at) => readdirSync(at).filter((name) => name.startsWith('.lago-collect')));

test('folders, files, links, modes and odd names come by the guest agent when ssh does not answer', async () => {
  const logs = join(folder, 'guest/log s');
  mkdirSync(join(logs, 'ünï\nbreak'), { recursive: true });
  writeFileSync(join(logs, 'ünï\nbreak/-x'), 'odd');
  writeFileSync(join(logs, 'big'), Buffer.alloc(300_000, 'abc'));
  chmodSync(join(logs, 'big'), 0o640);
  symlinkSync('/etc/passwd', join(logs, 'link'));
  const agent = use(createFakeAgent());
  await running(logs, join(logs, 'big'), '/no/such');
  const before = packed();
  const done = await collect();
  expect(done.vms).toMatchObject([
    { name: 'vm0', by: 'agent', problem: null, artifacts: [{ size: 300_003 }, { size: 300_000 }, { path: '/no/such', missing: true }] },
  ]);
  const [tree, file] = (done.vms[0]?.artifacts ?? []).map(({ name }) => join(done.folder, 'vm0', name ?? ''));
  expect(readdirSync(tree ?? '').sort()).toEqual(['big', 'link', 'ünï\nbreak']);
  expect(readFileSync(join(tree ?? '', 'ünï\nbreak/-x'), 'utf8')).toBe('odd');
  expect(readFileSync(file ?? '').equals(readFileSync(join(logs, 'big')))).toBe(true);
  expect(statSync(file ?? '').mode & 0o777).toBe(0o640);
  expect(lines.join('\n')).toContain('Collecting from vm0 by its guest agent, which is slow.');
  // Nothing stays in the guest.
  expect(packed()).toEqual(before);
  expect(agent.open.size).toBe(0);
});

/** Collects by an agent alone, to `folder`/out. */
async function byAgent(agent: FakeAgent, ...paths: string[]): Promise<CollectedArtifact[]> {
  const [vm] = (await readPrefix(root)).specs.vms;
  if (vm === undefined) throw new Error('no VM');
  const work = async (step: Step): Promise<CollectedArtifact[]> => {
    const found = await findAgent('vm0', async (command) => await Promise.resolve(agent.answer(command)), step.signal, step.log);
    if (found === undefined) throw new Error('no agent');
    return await collectByAgent(found, vm, namedArtifacts(paths), join(folder, 'out'), step);
  };
  return await startOperation({ kind: 'collect', label: 'Collect' }, work).done;
}

test('an agent that may not run programs gives files, and says so of folders', async () => {
  const file = join(folder, 'plain');
  writeFileSync(file, 'content');
  const agent = createFakeAgent({ without: ['guest-exec'] });
  expect(await byAgent(agent, file, '/no/such', folder)).toMatchObject([
    { size: 7, problem: null },
    { missing: true },
    {
      missing: false,
      problem: `Only files can be read of vm0, and ${folder} is none: its guest agent may not run programs.`,
    },
  ]);
  expect(readFileSync(join(folder, 'out', file.replaceAll('/', '_')), 'utf8')).toBe('content');
  expect(readdirSync(join(folder, 'out'))).toHaveLength(1);
  expect(agent.seen).not.toContain('guest-exec');
  expect(agent.open.size).toBe(0);
});

test('what the guest cannot read is said after everything else has arrived', async () => {
  const logs = join(folder, 'logs');
  mkdirSync(logs);
  writeFileSync(join(logs, 'one'), '1');
  const broken = join(folder, 'bin');
  mkdirSync(broken);
  const tar = `#!/bin/sh\n[ "$1" = --version ] || { PATH=/usr/bin:/bin tar "$@"; echo 'two: Permission denied' >&2; exit 2; }\n`;
  writeFileSync(join(broken, 'tar'), tar, { mode: 0o755 });
  const before = packed();
  const [artifact] = await byAgent(createFakeAgent({ path: `${broken}:/usr/bin:/bin` }), logs);
  expect(artifact?.problem).toBe(`${logs} of vm0 could not be read completely: two: Permission denied.`);
  expect(readFileSync(join(folder, 'out', artifact?.name ?? '', 'one'), 'utf8')).toBe('1');
  expect(packed()).toEqual(before);
});

test.each([
  ['without an agent', () => (world.agent = false)],
  ['with an agent that may not read files', () => use(createFakeAgent({ without: ['guest-file-open'] }))],
])('%s, it is known why a VM cannot answer, and nobody waits for it', async (_what, prepare) => {
  await running('/etc/hostname');
  prepare();
  const suspended = world.model.listDomains().find(({ name }) => name.endsWith('vm0'));
  world.model.suspendDomain(suspended?.name ?? '');
  await expect(collect()).rejects.toThrow('vm0: vm0 is suspended. Stop it first: the artifacts of VMs that are off');
});
