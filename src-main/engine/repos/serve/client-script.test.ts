import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runChecked } from '../../core/run.ts';
import { CLIENT_PATHS, clientFile } from './client-file.ts';
import { clientScript } from './client-script.ts';

/** A guest's file system, and what is served to it. */
let root: string;
let server: Server;
let served: readonly string[];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'lago-client-'));
  mkdirSync(join(root, 'run'));
  served = [];
  server = createServer((request, response) => {
    response.writeHead(served.includes(request.url ?? '') ? 200 : 404).end('x');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  server.close();
  rmSync(root, { recursive: true });
});

const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
const READ_FROM = { rpm: '/el9/repodata/repomd.xml', deb: '/debian12/Release' } as const;

async function boot(distro: string, { expected = false } = {}): Promise<void> {
  const script = clientScript(url(), distro, { expected }) ?? expect.fail('no script');
  const own = script.replace(/(?<![\w/])\/(?=etc\/|run\/)/g, `${root}/`);
  await runChecked(['sh', '-eu', '-c', own], 'The script failed.', { env: { no_proxy: '*' } });
}

const fileOf = (kind: 'rpm' | 'deb'): string => join(root, CLIENT_PATHS[kind]);
function installPackageManager(kind: 'rpm' | 'deb'): void {
  mkdirSync(join(fileOf(kind), '..'), { recursive: true });
}
const told = (kind: 'rpm' | 'deb'): string | undefined => (existsSync(fileOf(kind)) ? readFileSync(fileOf(kind), 'utf8') : undefined);

test.each([
  ['rpm', 'el9'],
  ['deb', 'debian12'],
] as const)('a guest with %s is told of the repository when it is there', async (kind, distro) => {
  installPackageManager(kind);
  await boot(distro);
  expect(told(kind)).toBeUndefined();
  served = [READ_FROM[kind]];
  await boot(distro);
  expect(told(kind)).toBe(clientFile(url(), { distro, kind }, { optional: true }).content);
});

test('dnf is told of one that is expected; apt, which fails without, is not', async () => {
  installPackageManager('rpm');
  await boot('el9', { expected: true });
  expect(told('rpm')).toContain('\nskip_if_unavailable=1\n');
  installPackageManager('deb');
  await boot('debian12', { expected: true });
  expect(told('deb')).toBeUndefined();
});

test('a file that is there already stays', async () => {
  installPackageManager('rpm');
  writeFileSync(fileOf('rpm'), 'by a deploy');
  await boot('el9', { expected: true });
  expect(told('rpm')).toBe('by a deploy');
});

test('a guest without package manager is left alone, and one of unknown kind is told in its own way', async () => {
  served = ['/own/Release'];
  await boot('own');
  expect(existsSync(join(root, 'etc'))).toBe(false);
  installPackageManager('deb');
  await boot('own');
  expect(told('deb')).toBe(`deb [trusted=yes] ${url()}own ./\n`);
});

test.each(["el9'; reboot; '", '../el9', ''])('%j is no distribution with packages', (distro) => {
  expect(clientScript('http://192.168.200.1:8585/', distro, { expected: true })).toBeUndefined();
});
