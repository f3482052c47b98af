import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HostSession } from '../../runtime/session.ts';
import { removeRestores, restoreMemory } from './restore-memory.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-restore-'));
  writeFileSync(join(folder, 'vm.memory'), 'what it remembered');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Processes that were started with the file of the memory. */
function programs(): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`\0${join(folder, 'vm.memory')}\0`);
    } catch {
      return false; // it has ended
    }
  });
}

test('a killed restore leaves no program that waits for libvirt, and no file that stays', async () => {
  const memory = { domain: 'vm', xml: '<domain/>', file: join(folder, 'vm.memory') };
  const module = join(import.meta.dirname, 'restore-memory.ts');
  const session = `{ host: { socketDir: ${JSON.stringify(folder)} }, hypervisor: { restoreDomain: () => new Promise(() => {}) } }`;
  const code = `const { restoreMemory } = await import(${JSON.stringify(module)}); await restoreMemory(${session}, ${JSON.stringify(memory)});`;
  const hook = join(import.meta.dirname, '../../../../scripts/typescript.mjs');
  const child = spawn(process.execPath, ['--import', hook, '--input-type=module', '--eval', code], { stdio: 'ignore' });
  await expect.poll(programs, { timeout: 15_000 }).toHaveLength(1);
  child.kill('SIGKILL');
  await expect.poll(programs, { timeout: 15_000 }).toEqual([]);
  let read = '';
  const hypervisor = { restoreDomain: async (file: string) => void (read = (await readFile(file)).toString('latin1')) };
  const here = { host: { socketDir: folder }, hypervisor } as unknown as HostSession;
  await removeRestores(here, ['vm']);
  await restoreMemory(here, memory);
  expect(read).toMatch(/^LibvirtQemudSave.*<domain\/>.*what it remembered$/s);
  expect(readdirSync(folder)).toEqual(['vm.memory']);
});
