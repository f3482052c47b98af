import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { lago, lagoOk } from './lago.ts';
import { ownedProcesses } from './leaks.ts';
import { makeScratch, type Scratch } from './scratch.ts';

/** What is left by commands that were killed, that met each other or that found the disk full: the next command deals with it. */

let scratch: Scratch;
test.beforeEach(() => {
  scratch = makeScratch();
});
test.afterEach(() => scratch.remove());

/** One VM that boots nothing, on an empty disk: quickly made. */
function emptyVm(): string {
  return scratch.write(
    'empty.json',
    JSON.stringify({
      nets: { n: { type: 'nat', management: true, dhcp: { start: 100, end: 200 } } },
      domains: {
        silent: {
          memory: 64,
          vcpu: 1,
          nics: [{ net: 'n' }],
          disks: [{ name: 'root', dev: 'vda', format: 'qcow2', type: 'empty', size: '64M' }],
        },
      },
    }),
  );
}

const prefix = (): string => join(scratch.dir, '.lago/default');
const killedAt = (point: number): { readonly env: Readonly<Record<string, string>> } => ({ env: { LAGO_FAULT: `kill:${point}` } });
const leases = (): readonly string[] => readdirSync(join(scratch.dir, 'leases')).filter((name) => name.endsWith('.lease'));

test('a killed init is told as such, and can be done again or destroyed', async () => {
  const file = emptyVm();
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
  const file = emptyVm();
  for (const point of [1, 2, 3, 4]) {
    await lagoOk(scratch, ['init', file]);
    await lago(scratch, ['destroy', '--yes'], killedAt(point));
    if (existsSync(prefix())) await lagoOk(scratch, ['destroy', '--yes']);
    expect(existsSync(join(scratch.dir, '.lago'))).toBe(false);
  }
});

test('of two inits of one name one makes it and the other is refused', async () => {
  const file = emptyVm();
  for (let round = 0; round < 6; round++) {
    const outcomes = await Promise.all([lago(scratch, ['init', file]), lago(scratch, ['init', file])]);
    const refused = outcomes.filter((outcome) => outcome.code !== 0);
    expect(refused.map((outcome) => outcome.stderr)).toEqual([expect.stringMatching(/already exists|is in use by/)]);
    expect(existsSync(join(prefix(), 'initialized'))).toBe(true);
    await lagoOk(scratch, ['destroy', '--yes']);
  }
});

/** Writes until nothing more fits. */
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

test('stop, cleanup and destroy work on a full disk', async () => {
  const file = emptyVm();
  const disk = join(scratch.dir, 'disk');
  mkdirSync(disk);
  // Holds the mount namespace with the small disk in it until its input ends.
  const holder = spawn('unshare', ['--mount', 'sh', '-c', `mount -t tmpfs -o size=48m none ${disk} && echo mounted && cat`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(holder, 'close');
  await once(holder.stdout, 'data');
  const enter = ['nsenter', '-t', String(holder.pid), '--mount'];
  const inside = `/proc/${holder.pid}/root${disk}`;
  // The user's list of environments lies on it too.
  const options = { cwd: disk, enter, env: { XDG_DATA_HOME: join(disk, 'data') } };
  try {
    for (const verbs of [[['stop'], ['cleanup'], ['destroy', '--yes']], [['destroy', '--yes']]]) {
      await lagoOk(scratch, ['init', file], options);
      await lagoOk(scratch, ['start'], options);
      for (const [index, verb] of verbs.entries()) {
        fill(join(inside, `filler${index}`));
        await lagoOk(scratch, verb, options);
        expect(ownedProcesses(scratch).filter(({ command }) => command.includes('qemu-system'))).toEqual([]);
      }
      for (const name of readdirSync(inside)) if (name.startsWith('filler')) rmSync(join(inside, name));
      expect(readdirSync(inside)).toEqual(['data']);
    }
  } finally {
    // Whatever failed above: no VM may go on once the disk is out of sight.
    for (const name of readdirSync(inside)) if (name.startsWith('filler')) rmSync(join(inside, name));
    await lago(scratch, ['destroy', '--yes', '--all-prefixes'], options);
    holder.stdin.end();
    await ended;
  }
});
