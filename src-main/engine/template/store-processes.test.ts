import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type MisbehavingServer, startMisbehavingServer } from '../core/download/misbehaving-server.test-support.ts';
import { until } from '../core/until.ts';
import type { TemplateVersion } from './repository.ts';
import { fetchInProcess, MIB, rawImage, sha1, templateVersion } from './store.test-support.ts';

let folder = '';
let server: MisbehavingServer;
const store = (): string => join(folder, 'store');
const stored = (): string => join(store(), 'office:el7:v1');

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lago processes '));
  server = await startMisbehavingServer();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function publish(image: Buffer): TemplateVersion {
  server.put('/el7.qcow2', image);
  server.put('/el7.qcow2.hash', sha1(image));
  return templateVersion(`${server.url}/el7.qcow2`);
}

function imageRequests(): number {
  return server.requests.filter(({ path, method }) => path === '/el7.qcow2' && method === 'GET').length;
}

async function asked(): Promise<void> {
  await until(async () => (imageRequests() > 0 ? true : undefined), {
    everyMs: 20,
    timeoutMs: 60_000,
    failure: () => new Error('nobody asked for the image') as never,
  });
}

test('three concurrent fetches: one download', async () => {
  const image = rawImage();
  const template = publish(image);
  let answer = (): void => undefined;
  const hold = (reply: () => void): void => {
    answer = reply;
  };
  server.put('/el7.qcow2', image, [{ hold }]);
  const first = fetchInProcess(store(), template);
  await asked();
  const others = [fetchInProcess(store(), template), fetchInProcess(store(), template)];
  await Promise.all(others.map(async ({ waiting }) => await waiting));
  answer();
  const outcomes = await Promise.all([first, ...others].map(async ({ ended }) => await ended));
  expect(outcomes.map((outcome) => outcome?.path)).toEqual([stored(), stored(), stored()]);
  expect(imageRequests()).toBe(1);
  expect(readFileSync(stored()).equals(image)).toBe(true);
}, 120_000);

test('one is killed in the middle: the next waiting one resumes its download', async () => {
  const image = rawImage();
  const template = publish(image);
  server.put('/el7.qcow2', image, [{ stallAfter: MIB }]);
  const first = fetchInProcess(store(), template);
  await until(async () => (existsSync(`${stored()}.part`) && statSync(`${stored()}.part`).size > 0 ? true : undefined), {
    everyMs: 20,
    timeoutMs: 60_000,
    failure: () => new Error('it does not begin') as never,
  });
  const second = fetchInProcess(store(), template);
  await second.waiting;
  first.child.kill('SIGKILL');
  expect(await first.ended).toBeUndefined();
  expect(await second.ended).toMatchObject({ path: stored() });
  expect(imageRequests()).toBe(2);
  expect(server.requests.findLast(({ path, method }) => path === '/el7.qcow2' && method === 'GET')?.headers.range).toMatch(/^bytes=\d+-$/);
  expect(readFileSync(stored()).equals(image)).toBe(true);
  expect(readdirSync(store()).sort()).toEqual(['', '.hash', '.info', '.lock', '.metadata'].map((suffix) => `office:el7:v1${suffix}`));
}, 120_000);

test('memory does not grow with the image', async () => {
  // One sixteenth is data, as in images of small systems; all of it is transferred.
  const data = randomBytes(4 * MIB);
  const zeros = Buffer.alloc(4 * MIB);
  const pieces = 256;
  const hash = createHash('sha1');
  const piece = (index: number): Buffer => (index % 16 === 0 ? data : zeros);
  for (let index = 0; index < pieces; index++) hash.update(piece(index));
  const expected = hash.digest('hex');
  const large = createServer((request, response) => {
    if (request.url === '/image.hash') response.end(expected);
    else if (request.url !== '/image') response.writeHead(404).end();
    else {
      response.writeHead(200, { 'content-length': pieces * data.length });
      let index = 0;
      const send = (): void => {
        while (index < pieces) if (!response.write(piece(index++))) return void response.once('drain', send);
        response.end();
      };
      send();
    }
  });
  await new Promise<void>((done) => large.listen(0, '127.0.0.1', done));
  try {
    const template = templateVersion(`http://127.0.0.1:${(large.address() as AddressInfo).port}/image`);
    const outcome = await fetchInProcess(store(), template).ended;
    expect(outcome).toMatchObject({ path: stored() });
    expect(statSync(stored()).size).toBe(pieces * data.length);
    // Growth beyond Node and the loader: uncollected garbage, but nothing proportional to the image.
    expect(outcome?.grownBy).toBeLessThan(96);
  } finally {
    large.closeAllConnections();
    await new Promise((done) => large.close(done));
  }
}, 120_000);
