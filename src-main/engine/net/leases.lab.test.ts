import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundledStore, makeLeaseFolder, makeOwner, runScript } from './leases.test-support.ts';
import { createLeaseStore } from './leases.ts';

// Not among the unit tests: so many processes would starve tests that run in parallel.

let root: string;
let dir: string;

beforeEach(async () => {
  root = await makeLeaseFolder();
  dir = join(root, 'subnets');
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('64 processes', () => {
  const PROCESSES = 64;
  // Takes minutes at full size (`npm run torture`); each round has the same kind of collisions.
  const ROUNDS = process.env['LEASES_FULL'] === '1' ? 40 : 3;
  // For each subnet it holds, a process creates a file exclusively; a second holder fails with EEXIST.
  const WORKER = `
    const { writeFileSync, readFileSync, unlinkSync } = require('node:fs');
    const [bundle, dir, holders, uuidPath, uuid, rounds, place] = process.argv.slice(1);
    const store = require(bundle).createLeaseStore({ dir, minOctet: 0, maxOctet: 255, waitMs: 550000 });
    const corner = [0, 1, 2, 3].map((index) => '192.168.' + (Number(place) * 4 + index) + '.0');
    const random = () => '192.168.' + Math.floor(Math.random() * 256) + '.0';
    (async () => {
      let refused = 0;
      for (let round = 0; round < Number(rounds); round++) {
        let held;
        while (held === undefined) {
          // Mostly its own corner, where others come by; every fourth time one that anybody may have, every tenth whatever is free.
          const anywhere = round % 10 === 0 ? null : round % 4 === 0 ? random() : corner[3];
          held = await store.acquireMany({ uuidPath, uuid, subnets: [...corner.slice(0, 3), anywhere] }).catch((error) => {
            if (error.code !== 'conflict.subnet') throw error;
            refused += 1;
          });
        }
        for (const { subnet } of held) writeFileSync(holders + '/' + subnet, uuid, { flag: 'wx' });
        for (const { subnet } of held) {
          if (!readFileSync(dir + '/' + subnet.split('.')[2] + '.lease', 'utf8').includes(uuid)) throw new Error('lost ' + subnet);
          unlinkSync(holders + '/' + subnet);
        }
        // One given back by itself, as when planning fails; the others as destroying does it.
        if (round % 8 === 0) await store.release(held[0].subnet, { uuid });
        const given = await store.releaseAll({ uuid, uuidPath });
        if (given.length !== held.length - (round % 8 === 0 ? 1 : 0)) throw new Error('lost one of ' + JSON.stringify(held));
      }
      console.log(refused);
    })();
  `;

  it('take and release subnets concurrently: none twice, none lost', async () => {
    const bundle = await bundledStore(root);
    const holders = join(root, 'holders');
    await mkdir(holders);
    const outcomes = await Promise.all(
      Array.from({ length: PROCESSES }, async (_, index) => {
        const own = await makeOwner(root, `p${index}`);
        return await runScript(WORKER, [bundle, dir, holders, own.uuidPath, own.uuid, String(ROUNDS), String(index)]);
      }),
    );
    expect(outcomes.filter((outcome) => outcome.code !== 0 || outcome.errors !== '')).toEqual([]);
    expect(outcomes.reduce((sum, outcome) => sum + Number(outcome.output), 0)).toBeGreaterThan(0);
    expect(await createLeaseStore({ dir }).list()).toEqual([]);
    expect(await readdir(holders)).toEqual([]);
    expect(await readdir(dir)).toEqual(['subnet-lease.lock']);
  }, 600_000);
});
