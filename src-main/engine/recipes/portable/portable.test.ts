import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SNAPSHOT_MANIFEST } from '../../../../src-shared/snapshot/exported-snapshot.ts';
import { VmSpec } from '../../../../src-shared/specs.ts';
import { injectFault } from '../../core/fault.ts';
import { readJson, writeJson } from '../../core/files/json-file.ts';
import { type Step, startOperation } from '../../core/operation.ts';
import { runChecked } from '../../core/run.ts';
import { createEmptyDisk, createLayerOn } from '../../disk/qemu-img.ts';
import { diskFilesOf } from '../../libvirt/hypervisor-devices.fake.ts';
import { prefixPaths } from '../../prefix/layout.ts';
import { domainName, type Prefix, readPrefix } from '../../prefix/prefix.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import { inconsistencies } from '../consistency.test-support.ts';
import { destroyEnvironment } from '../destroy.ts';
import { atEachPoint } from '../each-point.test-support.ts';
import { forkEnvironment } from '../fork/fork.ts';
import { startEnvironment } from '../lifecycle.ts';
import { revertSnapshot, takeSnapshot } from '../snapshots.ts';
import { createWorld, UUID, type World, writePrefix } from '../world.test-support.ts';
import { exportSnapshot } from './export-snapshot.ts';
import { Manifest } from './manifest.ts';
import type { SnapshotExportResult } from './portable-request.ts';
import { resumeEnvironment } from './resume.ts';

let folder: string;
let root: string;
let out: string;
let world: World;
let context: RecipeContext;
const VM0 = domainName(UUID, 'vm0');

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-portable-'));
  await newWorld();
});
afterEach(async () => {
  injectFault(undefined);
  await rm(folder, { recursive: true, force: true });
});

/** An environment of which one VM runs, remembers something, and has its disk on a template outside of it. */
async function newWorld(): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  [root, out] = [join(folder, 'from', 'demo'), join(folder, 'out')];
  world = createWorld();
  context = { ...world.context, settings: { ...world.context.settings, uplink: 'none' } };
  await writePrefix(root);
  await mkdir(join(folder, 'store'));
  const base = join(folder, 'store', 'repo:base:v1');
  await createEmptyDisk({ path: base, format: 'qcow2', size: 1024 * 1024 });
  await runChecked(['qemu-io', '-f', 'qcow2', '-c', 'write -P 0x77 512k 64k', `file:${base}`], 'The template could not be written.');
  const disk = join(root, 'images', 'vm0_root.qcow2');
  await rm(disk);
  await createLayerOn({ path: disk, backing: base, backingFormat: 'qcow2' });
  await writeFile(join(root, 'scripts', 'setup.sh'), 'true\n');
  await writeFile(join(root, 'id_ed25519'), 'secret', { mode: 0o600 });
  await symlink('id_ed25519', join(root, 'id_rsa'));
  await doing(async (step) => await startEnvironment(context, root, ['vm0'], step));
  world.model.remember(VM0, 'then');
  await write(VM0, '0x11');
  await take('base');
  world.model.remember(VM0, 'later');
  await write(VM0, '0x22');
}

async function doing<T>(work: (step: Step) => Promise<T>): Promise<T> {
  return await startOperation({ kind: 'start', label: 'test' }, async (step) => await work(step)).done;
}
const take = async (name: string): Promise<void> => await doing(async (step) => await takeSnapshot(context, root, name, step));
const exporting = async (snapshot = 'base', destination = out): Promise<SnapshotExportResult> =>
  await doing(async (step) => await exportSnapshot(context, root, { snapshot, destination }, step));
const resume = async (name = 'there'): Promise<string> =>
  await doing(async (step) => await resumeEnvironment(context, { folder: out, workdir: join(folder, 'to'), name }, step));

async function write(domain: string, pattern: string): Promise<void> {
  const file = diskFilesOf(world.model.domainXml(domain, false)).get('vda') ?? '';
  await runChecked(['qemu-io', '-f', 'qcow2', '-c', `write -P ${pattern} 0 64k`, file], `${file} could not be written.`);
}

/** Whether the disk that a VM has now has this at a place. */
async function reads(prefix: Prefix, vm: string, pattern: string, at: string): Promise<boolean> {
  const file = diskFilesOf(world.hostOf(prefix).model.domainXml(domainName(prefix.uuid, vm), false)).get('vda') ?? '';
  const { stdout } = await runChecked(['qemu-io', '-f', 'qcow2', '-c', `read -P ${pattern} ${at} 64k`, file], `${file} could not be read.`);
  return !stdout.includes('Pattern verification failed');
}

describe('an exported snapshot', () => {
  it('goes on elsewhere when the environment and its templates are gone', async () => {
    expect(await exporting()).toMatchObject({ folder: out, snapshot: 'base', vms: ['vm0', 'vm1'] });
    expect([world.model.memoryOf(VM0), (await readPrefix(root)).record?.pending]).toEqual(['later', null]);
    await doing(async (step) => await destroyEnvironment(context, root, step));
    await rm(join(folder, 'store'), { recursive: true });
    await rename(out, `${out}-moved`);
    out = `${out}-moved`;
    const there = await readPrefix(await resume());
    await rm(out, { recursive: true });
    const { model } = world.hostOf(there);
    expect([there.uuid === UUID, there.record?.snapshots.map(({ name }) => name), there.record?.current]).toEqual([
      false,
      ['base'],
      'base',
    ]);
    expect(model.describe().domains.map(({ name, state }) => [name, state])).toEqual([[domainName(there.uuid, 'vm0'), 'running']]);
    expect([model.memoryOf(domainName(there.uuid, 'vm0')), await reads(there, 'vm0', '0x11', '0')]).toEqual(['then', true]);
    expect([await reads(there, 'vm0', '0x77', '512k'), await inconsistencies(there.paths.root, world.hostOf(there))]).toEqual([true, []]);
    expect(await readFile(join(there.paths.root, 'id_rsa'), 'utf8')).toBe('secret');
    expect(existsSync(join(there.paths.scripts, 'setup.sh'))).toBe(true);
    // It can be forked like any other, and the snapshot is a point of its own.
    await doing(async (step) => await forkEnvironment(context, there.paths.root, { name: 'fork' }, step));
    const fork = await readPrefix(join(folder, 'to', 'fork'));
    expect([await reads(fork, 'vm0', '0x77', '512k'), await inconsistencies(fork.paths.root, world.hostOf(fork))]).toEqual([true, []]);
    model.remember(domainName(there.uuid, 'vm0'), 'changed');
    await doing(async (step) => await revertSnapshot(context, there.paths.root, 'base', undefined, step));
    expect(model.memoryOf(domainName(there.uuid, 'vm0'))).toBe('then');
  });

  it('goes on on another disk, where it has copies', async () => {
    await exporting();
    const workdir = await mkdtemp('/dev/shm/lago-portable-');
    try {
      const made = await doing(async (step) => await resumeEnvironment(context, { folder: out, workdir, name: 'there' }, step));
      const there = await readPrefix(made);
      const memory = await stat(join(there.paths.snapshots, 'base', 'vm0.memory'));
      expect([memory.nlink, memory.mode & 0o077, await reads(there, 'vm0', '0x77', '512k')]).toEqual([1, 0, true]);
      expect(world.hostOf(there).model.memoryOf(domainName(there.uuid, 'vm0'))).toBe('then');
    } finally {
      await rm(workdir, { recursive: true });
    }
  });

  it('has memory and keys that only their owner can read', async () => {
    await exporting();
    for (const name of ['', SNAPSHOT_MANIFEST, 'id_rsa', 'snapshots/base/vm0.memory', 'snapshots/base/vm0.domain.xml']) {
      expect([name, (await stat(join(out, name))).mode & 0o077]).toEqual([name, 0]);
    }
  });

  it('of VMs that are off has disks only, and its VMs are off', async () => {
    world = createWorld();
    context = { ...world.context, settings: { ...world.context.settings, uplink: 'none' } };
    await take('cold');
    await exporting('cold');
    const there = await readPrefix(await resume());
    expect([world.hostOf(there).up, there.record?.snapshots[0]?.vms]).toEqual([false, { vm0: 'disk', vm1: 'disk' }]);
    await doing(async (step) => await startEnvironment(context, there.paths.root, [], step));
    expect(await reads(there, 'vm0', '0x22', '0')).toBe(true);
  });
});

describe('an export of a snapshot', () => {
  it.each([
    ['that is not there', async () => await exporting('none'), /has no snapshot "none"/],
    ['to a folder with something in it', async () => await exporting('base', folder), /is not empty/],
    ['to where no folder can be made', async () => await exporting('base', '/proc/out'), /No folder can be made in \/proc/],
    ['into the environment', async () => await exporting('base', join(root, 'out')), /inside the environment/],
    [
      'of which a file is missing',
      async () => {
        await rm(join(root, 'snapshots', 'base', 'vm0.memory'));
        return await exporting();
      },
      /vm0\.memory is missing/,
    ],
  ] as const)('%s is refused, and leaves nothing', async (_, work, message) => {
    await expect(work()).rejects.toThrow(message);
    expect([existsSync(out), (await readPrefix(root)).record?.pending]).toEqual([false, null]);
    expect((await readdir(folder)).sort()).toEqual(['from', 'store']);
  });

  it('without space is refused', async () => {
    const work = doing(
      async (step) =>
        await exportSnapshot(context, root, { snapshot: 'base', destination: out }, step, {
          freeBytes: async () => await Promise.resolve(0),
        }),
    );
    await expect(work).rejects.toMatchObject({ code: 'host.no-space' });
    expect((await readdir(folder)).sort()).toEqual(['from', 'store']);
  });

  it.each(['fail', 'die'] as const)(
    'that comes to its end at any point (%s) leaves nothing that the next verb does not remove',
    async (how) => {
      const tried = { prepare: newWorld, work: async () => void (await exporting()) };
      const points = await atEachPoint(how, tried, async (point) => {
        const finished = existsSync(out);
        if (finished) expect([point, existsSync(join(out, SNAPSHOT_MANIFEST))]).toEqual([point, true]);
        await take('after');
        expect([point, (await readdir(folder)).sort()]).toEqual([point, finished ? ['from', 'out', 'store'] : ['from', 'store']]);
        expect([point, await inconsistencies(root, world)]).toEqual([point, []]);
      });
      expect(points).toBeGreaterThan(5);
    },
  );
});

describe('resuming', () => {
  it.each(['fail', 'die'] as const)(
    'that comes to its end at any point (%s) can be repeated',
    async (how) => {
      await exporting();
      const tried = {
        prepare: async () => await rm(join(folder, 'to'), { recursive: true, force: true }),
        work: async () => void (await resume()),
      };
      const points = await atEachPoint(how, tried, async (point) => {
        const done = await readPrefix(join(folder, 'to', 'there')).then(
          ({ record }) => record?.phase === 'ready',
          () => false,
        );
        if (!done) await resume();
        else await doing(async (step) => await startEnvironment(context, join(folder, 'to', 'there'), ['vm0'], step));
        const there = await readPrefix(join(folder, 'to', 'there'));
        expect([point, await inconsistencies(there.paths.root, world.hostOf(there))]).toEqual([point, []]);
        expect([point, world.hostOf(there).model.memoryOf(domainName(there.uuid, 'vm0'))]).toEqual([point, 'then']);
      });
      expect(points).toBeGreaterThan(10);
    },
    120_000,
  );

  describe('is refused, before anything is made,', () => {
    beforeEach(async () => void (await exporting()));

    const manifest = async (change: (manifest: Manifest) => object): Promise<void> => {
      const path = join(out, SNAPSHOT_MANIFEST);
      await writeJson(path, change((await readJson(path, Manifest)) as Manifest));
    };
    /** Changes a file as somebody would who means harm. */
    const forge = async (name: string, change: (text: string) => string): Promise<void> => {
      const path = join(out, name);
      await writeFile(path, change(await readFile(path, 'utf8')));
      const { markFile } = await import('./manifest.ts');
      const mark = await markFile(path);
      await manifest((old) => ({ ...old, files: { ...old.files, [name]: mark } }));
    };

    it.each<readonly [string, () => Promise<unknown>, RegExp]>([
      ['for another folder', async () => await rm(join(out, SNAPSHOT_MANIFEST)), /is not the folder of an exported snapshot/],
      ['when a newer version wrote it', async () => await manifest((old) => ({ ...old, version: 9 })), /newer version of Lago \(format 9/],
      ['when a file is missing', async () => await rm(join(out, 'images', 'vm1_root.qcow2')), /vm1_root\.qcow2 is missing/],
      ['when a file is shorter', async () => await truncate(join(out, 'snapshots/base/vm0.memory'), 100), /vm0\.memory has 100 bytes/],
      ['when a file has another content', async () => await writeFile(join(out, 'id_rsa'), 'Secret'), /id_rsa has another content/],
      ['when it has a link', async () => await symlink('/etc/hostname', join(out, 'scripts', 'x')), /x is not a file/],
      [
        'when it wants another accelerator',
        async () => await manifest((old) => ({ ...old, machine: { ...old.machine, accelerator: 'kvm' } })),
        /ran with hardware virtualization \(KVM\)/,
      ],
      [
        'when a disk is outside',
        async () => await forge('virt/vm-vm0', (text) => text.replaceAll('$LAGO_PREFIX_PATH/images/vm0_root.qcow2', '/etc/passwd')),
        /uses \/etc\/passwd/,
      ],
      [
        'when a description names a file of this machine',
        async () =>
          await forge('snapshots/base/vm0.domain.xml', (xml) =>
            xml.replace('<devices>', "<devices><disk type='file'><source file='/etc/passwd'/></disk>"),
          ),
        /names \/etc\/passwd/,
      ],
      [
        'when a description has a program',
        async () =>
          await forge('snapshots/base/vm0.domain.xml', (xml) => xml.replace('<devices>', '<devices><emulator>/bin/sh</emulator>')),
        /has a device <emulator>/,
      ],
    ])('%s', async (_, change, message) => {
      await change();
      await expect(resume()).rejects.toThrow(message);
      expect(existsSync(join(folder, 'to', 'there'))).toBe(false);
    });

    it('when an image is a layer on a file of this machine', async () => {
      const image = join(out, 'images', 'vm0_root.qcow2');
      await runChecked(['qemu-img', 'rebase', '-u', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/passwd', image], 'It could not be forged.');
      const { markFile } = await import('./manifest.ts');
      const mark = await markFile(image);
      await manifest((old) => ({ ...old, files: { ...old.files, 'images/vm0_root.qcow2': mark } }));
      await expect(resume()).rejects.toThrow(/is a layer on \/etc\/passwd/);
    });

    it('when there is no space on another disk', async () => {
      const other = await mkdtemp('/dev/shm/lago-portable-');
      try {
        const work = doing(
          async (step) =>
            await resumeEnvironment(context, { folder: out, workdir: other, name: 'there' }, step, {
              freeBytes: async () => await Promise.resolve(0),
            }),
        );
        await expect(work).rejects.toMatchObject({ code: 'host.no-space' });
        expect(existsSync(join(other, 'there'))).toBe(false);
      } finally {
        await rm(other, { recursive: true, force: true });
      }
    });

    it('when the name is taken', async () => {
      await resume();
      await expect(resume()).rejects.toMatchObject({ code: 'prefix.exists' });
    });

    it('and a copy of the folder is as good', async () => {
      await cp(out, `${out}-copy`, { recursive: true });
      out = `${out}-copy`;
      const there = await readPrefix(await resume());
      const spec = await readJson(prefixPaths(there.paths.root).vm('vm0'), VmSpec);
      expect(spec?.disks[0]?.path).toBe('$LAGO_PREFIX_PATH/images/vm0_root.layer-1.qcow2');
    });
  });
});
