import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { emptyVm } from './support/init-files.ts';
import { type CommandOptions, lago, lagoOk } from './support/lago.ts';
import { ownedProcesses } from './support/leaks.ts';
import { useScratch } from './support/prologue.ts';
import type { Scratch } from './support/scratch.ts';
import { virsh } from './support/virsh.ts';

/** Remains of commands that were killed, ran at the same time or filled the disk: the next command cleans up. */

let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

const prefix = (): string => join(scratch.dir, '.lago/default');
const killedAt = (point: number): { readonly env: Readonly<Record<string, string>> } => ({ env: { LAGO_FAULT: `kill:${point}` } });
const leases = (): readonly string[] => readdirSync(join(scratch.dir, 'leases')).filter((name) => name.endsWith('.lease'));

test('a killed init is reported, and can be repeated or destroyed', async () => {
  const file = emptyVm(scratch);
  for (const point of [2, 4, 6, 9, 12]) {
    expect((await lago(scratch, ['init', file], killedAt(point))).code).toBe(137);
    if (existsSync(prefix())) {
      const started = await lago(scratch, ['start']);
      expect(started.stderr).toContain('its creation was interrupted');
      expect(started.code).not.toBe(0);
      const status = await lago(scratch, ['status']);
      expect(status.stdout + status.stderr).toMatch(/creation was interrupted/);
    }
    await lagoOk(scratch, ['init', file]);
    await lagoOk(scratch, ['destroy', '--yes']);
    await lago(scratch, ['init', file], killedAt(point));
    if (existsSync(prefix())) await lagoOk(scratch, ['destroy', '--yes']);
    expect([existsSync(prefix()), leases()]).toEqual([false, []]);
  }
});

test('a killed destroy is finished by the next one', async () => {
  const file = emptyVm(scratch);
  for (const point of [1, 2, 3, 4]) {
    await lagoOk(scratch, ['init', file]);
    await lago(scratch, ['destroy', '--yes'], killedAt(point));
    if (existsSync(prefix())) await lagoOk(scratch, ['destroy', '--yes']);
    expect(existsSync(join(scratch.dir, '.lago'))).toBe(false);
  }
});

test('of two inits of one name, one succeeds and the other is refused', async () => {
  const file = emptyVm(scratch);
  for (let round = 0; round < 6; round++) {
    const outcomes = await Promise.all([lago(scratch, ['init', file]), lago(scratch, ['init', file])]);
    const refused = outcomes.filter((outcome) => outcome.code !== 0);
    expect(refused.map((outcome) => outcome.stderr)).toEqual([expect.stringMatching(/already exists|is in use by/)]);
    expect(existsSync(join(prefix(), 'initialized'))).toBe(true);
    await lagoOk(scratch, ['destroy', '--yes']);
  }
});

/** Fills the disk. */
function fill(file: string): void {
  const handle = openSync(file, 'w');
  try {
    for (let size = 1024 * 1024; size >= 1; size = Math.floor(size / 4)) {
      for (let full = false; !full; ) {
        try {
          writeSync(handle, Buffer.alloc(size, 1));
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENOSPC' });
          full = true;
        }
      }
    }
  } finally {
    closeSync(handle);
  }
}

interface SmallDisk {
  /** For commands that should see the disk; this process reaches it at `inside`. */
  readonly options: CommandOptions;
  readonly inside: string;
}

/** Mounts a small disk in its own mount namespace while `work` runs; afterwards destroys the environments on it, even after a failure. */
async function withSmallDisk(mebibytes: number, work: (disk: SmallDisk) => Promise<void>): Promise<void> {
  const disk = join(scratch.dir, 'disk');
  mkdirSync(disk);
  // Keeps the namespace until its stdin closes.
  const holder = spawn('unshare', ['--mount', 'sh', '-c', `mount -t tmpfs -o size=${mebibytes}m none ${disk} && echo mounted && cat`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(holder, 'close');
  await once(holder.stdout, 'data');
  const inside = `/proc/${holder.pid}/root${disk}`;
  // The user's list of environments is on that disk too.
  const options = { cwd: disk, enter: ['nsenter', '-t', String(holder.pid), '--mount'], env: { XDG_DATA_HOME: join(disk, 'data') } };
  try {
    await work({ options, inside });
  } finally {
    removeFillers(inside);
    await lago(scratch, ['destroy', '--yes', '--all-prefixes'], options);
    holder.stdin.end();
    await ended;
  }
}

function removeFillers(inside: string): void {
  for (const name of readdirSync(inside)) if (name.startsWith('filler')) rmSync(join(inside, name));
}

test('stop, cleanup and destroy work on a full disk', async () => {
  const file = emptyVm(scratch);
  await withSmallDisk(48, async ({ options, inside }) => {
    for (const verbs of [[['stop'], ['cleanup'], ['destroy', '--yes']], [['destroy', '--yes']]]) {
      await lagoOk(scratch, ['init', file], options);
      await lagoOk(scratch, ['start'], options);
      for (const [index, verb] of verbs.entries()) {
        fill(join(inside, `filler${index}`));
        await lagoOk(scratch, verb, options);
        expect(ownedProcesses(scratch).filter(({ command }) => command.includes('qemu-system'))).toEqual([]);
      }
      removeFillers(inside);
      expect(readdirSync(inside)).toEqual(['data']);
    }
  });
});

test('a snapshot that finds the disk full, before it begins or in the middle, leaves nothing and the VM goes on', async () => {
  const file = emptyVm(scratch);
  await withSmallDisk(256, async ({ options, inside }) => {
    await lagoOk(scratch, ['init', file], options);
    await lagoOk(scratch, ['start'], options);
    const here = join(inside, '.lago/default');
    const expectAsBefore = async (): Promise<void> => {
      expect((await lagoOk(scratch, ['-f', 'flat', 'status'], options)).stdout).toContain('VMs/silent/status: running');
      expect((await lagoOk(scratch, ['snapshot', '--list'], options)).stdout).not.toContain('new');
      // The disk is one file as before: whichever layer it was in has been merged.
      expect([readdirSync(join(here, 'images')).length, readdirSync(join(here, 'snapshots'))]).toEqual([1, []]);
    };
    fill(join(inside, 'filler'));
    const refused = await lago(scratch, ['snapshot', 'new'], options);
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain('A snapshot may need');
    expect((await lagoOk(scratch, ['snapshot', '--list'], options)).stdout).not.toContain('new');

    removeFillers(inside);
    const failed = await lago(scratch, ['snapshot', 'new'], {
      ...options,
      env: { ...options.env, LAGO_FAULT: 'hold:4' },
      whileHeld: () => {
        writeFileSync(join(inside, 'room'), Buffer.alloc(512 * 1024));
        fill(join(inside, 'filler'));
        rmSync(join(inside, 'room'));
      },
    });
    expect(failed.code).toBe(3);
    expect(failed.stderr).toMatch(/No space left for .*silent\.memory/);
    expect(failed.stderr).not.toContain('Not undone');
    await expectAsBefore();
    removeFillers(inside);
    await lagoOk(scratch, ['snapshot', 'new'], options);
    expect((await lagoOk(scratch, ['snapshot', '--list'], options)).stdout).toContain('new');
  });
});

test('a snapshot that QEMU finished after libvirt was killed is taken back from the disks of a running VM', async () => {
  await lagoOk(scratch, ['init', emptyVm(scratch)]);
  await lagoOk(scratch, ['start']);
  const image = join(prefix(), 'images/silent_root.qcow2');
  const inImage = (): string => execFileSync('qemu-img', ['snapshot', '-l', '-U', image], { encoding: 'utf8' });
  const recordFile = join(prefix(), 'lago-desktop.json');
  // One that began with an older version goes on with its kind of snapshots.
  const old = { name: 'old', kind: 'internal', createdAt: 1, parent: null, vms: {} };
  const before = { ...(JSON.parse(readFileSync(recordFile, 'utf8')) as object), snapshots: [old] };
  writeFileSync(recordFile, JSON.stringify(before));
  await lagoOk(scratch, ['snapshot', 'late']);
  const domain = virsh(scratch, 'list', '--name');
  virsh(scratch, 'snapshot-delete', domain, 'late', '--metadata');
  const pending = { kind: 'snapshot', name: 'late', step: 'taking', vms: ['silent'], running: ['silent'], hostWasUp: true, since: 1 };
  writeFileSync(recordFile, JSON.stringify({ ...before, pending }));
  expect(inImage()).toContain('late');

  await lagoOk(scratch, ['start']);
  expect(inImage()).not.toContain('late');
  expect(virsh(scratch, 'snapshot-list', domain, '--name')).toBe('');
  await lagoOk(scratch, ['snapshot', 'late']);
  await lagoOk(scratch, ['destroy', '--yes']);
});
