import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takeLock } from '../../core/lock.ts';
import { bootId, startTimeOf } from '../../core/process-identity.ts';
import { cleanLeftovers, findLeftovers } from './leftovers.ts';

let folder = '';
let environment: NodeJS.ProcessEnv = {};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-leftovers-'));
  environment = { XDG_RUNTIME_DIR: folder };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ownRecord = () => `${process.pid} ${startTimeOf(process.pid) ?? ''} ${bootId()}\n`;
const deadRecord = () => `${process.pid} 1 ${bootId()}\n`;

function runtimeDir(name: string, record: string | undefined, stateDir?: string): string {
  const path = join(folder, 'lago', name);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (record !== undefined) writeFileSync(join(path, 'cell'), record);
  if (stateDir !== undefined) writeFileSync(join(path, 'facts.json'), JSON.stringify({ version: 1, id: `${name}-id`, stateDir }));
  return path;
}

const mine = <T extends { runtimeDir: string }>(found: readonly T[]): T[] => found.filter((each) => each.runtimeDir.startsWith(folder));

test('finds folders whose cell is dead, and only those', () => {
  const dead = runtimeDir('0123456789ab', deadRecord(), '/nowhere/host');
  runtimeDir('0123456789ac', ownRecord());
  runtimeDir('0123456789ad', undefined);
  runtimeDir('vnc', deadRecord());
  const old = runtimeDir('0123456789ae', undefined);
  utimesSync(old, 1, 1);
  expect(mine(findLeftovers(environment))).toEqual([
    { runtimeDir: dead, id: '0123456789ab-id', stateDir: '/nowhere/host' },
    { runtimeDir: old, id: undefined, stateDir: undefined },
  ]);
});

test('a folder that is not private is not searched', () => {
  mkdirSync(join(folder, 'lago'), { mode: 0o755 });
  runtimeDir('0123456789ab', deadRecord());
  expect(mine(findLeftovers(environment))).toEqual([]);
});

test('cleans, unless a new host is just starting there', async () => {
  const stateDir = join(folder, 'prefix/host');
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(join(stateDir, 'cell'), `${deadRecord().trim()} /x\n`);
  writeFileSync(join(stateDir, 'lock'), '');
  const path = runtimeDir('0123456789ab', deadRecord(), stateDir);
  {
    await using _starting = await takeLock(join(stateDir, 'lock'));
    expect(mine(await cleanLeftovers(environment))).toEqual([]);
    expect(existsSync(path)).toBe(true);
  }
  expect(mine(await cleanLeftovers(environment)).map((each) => each.runtimeDir)).toEqual([path]);
  expect(readdirSync(join(folder, 'lago'))).toEqual([]);
  expect(readdirSync(stateDir)).toEqual(['lock']);
});
