import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isCancelled } from '../../../src-shared/errors.ts';
import { takeLock } from '../core/lock.ts';
import { bundledStore, makeLeaseFolder, makeOwner, runScript } from './leases.test-support.ts';
import { createLeaseStore, type LeaseOwner } from './leases.ts';

let root: string;
let dir: string;

beforeEach(async () => {
  root = await makeLeaseFolder();
  dir = join(root, 'deep', 'subnets');
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const prefix = async (name: string): Promise<LeaseOwner> => await makeOwner(root, name);

describe('the store of subnets', () => {
  it('is made when it is needed, writable for its group', async () => {
    const a = await prefix('a');
    expect(await createLeaseStore({ dir }).list()).toEqual([]);
    expect(existsSync(dir)).toBe(false);
    expect(await createLeaseStore({ dir }).acquire(a)).toEqual({ subnet: '192.168.200.0', gateway: '192.168.200.1' });
    expect(((await stat(dir)).mode & 0o7777).toString(8)).toBe('2775');
    expect(((await stat(join(dir, 'subnet-lease.lock'))).mode & 0o777).toString(8)).toBe('660');
    expect(((await stat(join(dir, '200.lease'))).mode & 0o777).toString(8)).toBe('664');
  });

  it("writes Lago's format", async () => {
    const a = await prefix('a');
    await createLeaseStore({ dir }).acquire(a);
    expect(await readFile(join(dir, '200.lease'), 'utf8')).toBe(`[\n    "${a.uuidPath}",\n    "${a.uuid}"\n]`);
  });

  it('gives the lowest free subnet, or exactly the one asked for, and each only once', async () => {
    const [a, b] = [await prefix('a'), await prefix('b')];
    const store = createLeaseStore({ dir, minOctet: 200, maxOctet: 202 });
    await store.acquire({ ...a, subnet: '192.168.201.77' });
    expect((await store.acquire(b)).gateway).toBe('192.168.200.1');
    expect((await store.acquire(b)).gateway).toBe('192.168.202.1');
    await expect(store.acquire({ ...b, subnet: '192.168.201.0/24' })).rejects.toMatchObject({
      code: 'conflict.subnet',
      message: `The subnet 192.168.201.0/24 is already taken by ${join(root, 'a')}.`,
    });
    await expect(store.acquire(a)).rejects.toMatchObject({
      code: 'conflict.subnet',
      message: 'No subnet is free between 192.168.200.0/24 and 192.168.202.0/24.',
    });
    expect((await store.acquire({ ...a, subnet: '192.168.201.1' })).subnet).toBe('192.168.201.0');
    await store.release('192.168.202.1', { uuid: a.uuid });
    expect(await store.list()).toHaveLength(3);
    await store.release('192.168.202.1', { uuid: b.uuid });
    await store.release('192.168.202.1');
    expect((await store.list()).map((lease) => [lease.subnet, lease.uuid, lease.valid])).toEqual([
      ['192.168.200.0', b.uuid, true],
      ['192.168.201.0', a.uuid, true],
    ]);
    expect(await store.releaseAll({ uuid: b.uuid })).toEqual(['192.168.200.0']);
    expect(await store.releaseAll({ uuid: b.uuid })).toEqual([]);
  });

  it('takes several or none', async () => {
    const [a, b] = [await prefix('a'), await prefix('b')];
    const store = createLeaseStore({ dir, minOctet: 200, maxOctet: 203 });
    await store.acquire({ ...a, subnet: '192.168.201.0' });
    await store.acquire({ ...b, subnet: '192.168.203.0' });
    await expect(store.acquireMany({ ...b, subnets: [null, '192.168.200.0', '192.168.203.0', '192.168.201.0'] })).rejects.toMatchObject({
      code: 'conflict.subnet',
    });
    await expect(store.acquireMany({ ...b, subnets: ['192.168.200.0', '192.168.200.9'] })).rejects.toMatchObject({
      code: 'conflict.subnet',
    });
    expect((await store.list()).map((lease) => lease.subnet)).toEqual(['192.168.201.0', '192.168.203.0']);
    expect((await store.acquireMany({ ...b, subnets: [null, '192.168.200.0'] })).map((got) => got.gateway)).toEqual([
      '192.168.202.1',
      '192.168.200.1',
    ]);
  });

  it('always matches a simple list (property)', async () => {
    const owners = [await prefix('a'), await prefix('b')];
    const octet = fc.integer({ min: 200, max: 203 });
    const step = fc.oneof(
      fc.record({ do: fc.constant('take' as const), who: fc.nat(1), subnets: fc.array(fc.option(octet), { minLength: 1, maxLength: 3 }) }),
      fc.record({ do: fc.constant('give' as const), who: fc.nat(1), octet }),
      fc.record({ do: fc.constant('give all' as const), who: fc.nat(1) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        await rm(dir, { recursive: true, force: true });
        const store = createLeaseStore({ dir, minOctet: 200, maxOctet: 203 });
        const held = new Map<number, number>();
        for (const action of steps) {
          const owner = owners[action.who] as (typeof owners)[number];
          if (action.do === 'give all') {
            await store.releaseAll(owner);
            for (const [key, who] of held) if (who === action.who) held.delete(key);
          } else if (action.do === 'give') {
            await store.release(`192.168.${action.octet}.0`, { uuid: owner.uuid });
            if (held.get(action.octet) === action.who) held.delete(action.octet);
          } else {
            const fixed = action.subnets.filter((one) => one !== null);
            const free = [200, 201, 202, 203].filter((one) => !held.has(one) && !fixed.includes(one));
            const expected = action.subnets.map((one) => one ?? free.shift());
            const possible =
              new Set(fixed).size === fixed.length &&
              fixed.every((one) => (held.get(one) ?? action.who) === action.who) &&
              !expected.includes(undefined);
            const subnets = action.subnets.map((one) => (one === null ? null : `192.168.${one}.0`));
            const taken = store.acquireMany({ ...owner, subnets });
            if (possible) {
              expect(await taken).toEqual(expected.map((one) => ({ subnet: `192.168.${one}.0`, gateway: `192.168.${one}.1` })));
              for (const one of expected) held.set(one as number, action.who);
            } else await expect(taken).rejects.toMatchObject({ code: 'conflict.subnet' });
          }
          const listed = (await store.list()).map((lease) => [lease.subnet, lease.uuid]);
          const wanted = [...held].sort(([one], [two]) => one - two);
          expect(listed).toEqual(wanted.map(([key, who]) => [`192.168.${key}.0`, owners[who]?.uuid]));
        }
      }),
      { numRuns: 25 },
    );
  }, 120_000);

  it('reclaims leases of dead or changed prefixes, and damaged ones', async () => {
    const [a, b] = [await prefix('a'), await prefix('b')];
    const store = createLeaseStore({ dir, minOctet: 200, maxOctet: 203 });
    await store.acquireMany({ ...a, subnets: [null, null, null] });
    await writeFile(join(dir, '201.lease'), '{');
    await rm(a.uuidPath);
    expect((await store.list()).map((lease) => lease.valid)).toEqual([false, false, false]);
    expect((await store.acquire({ ...b, subnet: '192.168.202.0' })).subnet).toBe('192.168.202.0');
    expect((await store.acquire(b)).subnet).toBe('192.168.200.0');
    expect((await store.reclaim()).map((lease) => lease.path)).toEqual([join(dir, '201.lease')]);
    expect(await readdir(dir)).toEqual(['200.lease', '202.lease', 'subnet-lease.lock']);
  });

  it('refuses anything but a subnet of its range', async () => {
    const a = await prefix('a');
    const store = createLeaseStore({ dir });
    for (const subnet of ['192.168.199.0', '10.0.0.0', 'x', '192.168.999.0', '../x']) {
      await expect(store.acquire({ ...a, subnet })).rejects.toMatchObject({ code: 'input.invalid' });
    }
    expect(existsSync(dir)).toBe(false);
  });

  it('waits for its lock, and names the holder', async () => {
    const a = await prefix('a');
    const store = createLeaseStore({ dir, waitMs: 50 });
    await store.acquire(a);
    await using held = await takeLock(join(dir, 'subnet-lease.lock'), { purpose: 'a test' });
    await expect(store.acquire(a)).rejects.toMatchObject({
      code: 'conflict.locked',
      message: expect.stringContaining('a test (pid') as string,
    });
    const stop = new AbortController();
    const waiting = createLeaseStore({ dir, waitMs: 60_000 }).acquire({ ...a, signal: stop.signal });
    stop.abort();
    expect(await waiting.catch(isCancelled)).toBe(true);
    await held.release();
    await store.acquire(a);
  });

  it('respects the lock file of Lago 0.29 unless it was left behind', async () => {
    const a = await prefix('a');
    const store = createLeaseStore({ dir, waitMs: 20 });
    await store.acquire(a);
    for (const name of ['leases.lock', 'leases.lock.lock']) {
      await writeFile(join(dir, name), '');
      await expect(store.acquire(a)).rejects.toMatchObject({ code: 'conflict.locked' });
      const longAgo = Date.now() / 1000 - 3600;
      await utimes(join(dir, name), longAgo, longAgo);
      await store.acquire(a);
      await rm(join(dir, name));
    }
  });
});

describe.runIf(process.getuid?.() === 0)('other users', () => {
  const WORKER = `
    const { createLeaseStore } = require(process.argv[1]);
    process.setgid(65534); process.setuid(65534);
    createLeaseStore({ dir: process.argv[2], waitMs: 5000 }).acquire({ uuidPath: process.argv[3], uuid: 'x' })
      .then((got) => console.log(got.subnet), (error) => console.log(error.code, error.message, error.hint));
  `;

  async function asNobody(uuidPath: string): Promise<string> {
    const { output, errors } = await runScript(WORKER, [await bundledStore(root), dir, uuidPath]);
    expect(errors).toBe('');
    return output.trim();
  }

  it('get an error that names the missing permission', async () => {
    await chmod(root, 0o755);
    await mkdir(dir, { recursive: true });
    expect(await asNobody('/none')).toMatch(/^host\.denied No permission for the store of subnets at .*--lease_dir/);
  });

  it('keep leases that this user may not check', async () => {
    await chmod(root, 0o755);
    const a = await prefix('a');
    await createLeaseStore({ dir }).acquire(a);
    await chmod(join(root, 'a'), 0o700);
    await chmod(dir, 0o777);
    await chmod(join(dir, 'subnet-lease.lock'), 0o666);
    expect(await asNobody('/none')).toBe('192.168.201.0');
  });
});
