import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { withArtifacts } from './support/init-files.ts';
import { lago, lagoOk } from './support/lago.ts';
import { expectNothingLeft, ownedNamespaces } from './support/leaks.ts';
import { useScratch } from './support/prologue.ts';
import type { Scratch } from './support/scratch.ts';

let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

const inVm = async (vm: string, command: string): Promise<string> => (await lagoOk(scratch, ['shell', vm, command])).stdout;
const names = (folder: string): string[] => readdirSync(folder).sort();

test('collects from VMs that run, from disks of VMs that are off, and past a VM that does not answer', async () => {
  test.setTimeout(900_000);
  await lagoOk(scratch, ['init', withArtifacts(scratch, 'pair', ['/var/log', '/root/a b', '/no/such'])]);
  await lagoOk(scratch, ['start']);
  const namespaces = ownedNamespaces(scratch);
  const fill = (vm: string): string =>
    [
      'mkdir -p /var/log/deep/"line',
      'break" && cd /var/log/deep',
      `echo ${vm} > name; echo x > "ünï -"; ln -s /etc/passwd link; ln -s ../../../.. up; chmod 640 name; touch -d 2001-09-09 name`,
      `dd if=/dev/urandom of=big bs=1k count=3000 2>/dev/null; echo ${vm} > "/root/a b"; sync`,
    ].join('\n');
  await inVm('web', fill('web'));
  await inVm('db', fill('db'));

  /** Records of collections, oldest first. */
  const collections = (): unknown[] => {
    const folder = join(scratch.dir, '.lago/default/collected');
    const records = names(folder).filter((name) => name.endsWith('.json'));
    return records.map((name): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8')));
  };
  /** What `fill` has made is in a VM's folder. */
  const expectFilled = (folder: string, vm: string): void => {
    expect(names(folder)).toEqual(['_root_a b', '_var_log']);
    const deep = join(folder, '_var_log/deep');
    expect(names(deep)).toEqual(['big', 'line\nbreak', 'link', 'name', 'up', 'ünï -']);
    expect(readFileSync(join(deep, 'name'), 'utf8')).toBe(`${vm}\n`);
    expect(readFileSync(join(folder, '_root_a b'), 'utf8')).toBe(`${vm}\n`);
    expect(statSync(join(deep, 'name')).mode & 0o777).toBe(0o640);
    expect(statSync(join(deep, 'name')).mtime.getUTCFullYear()).toBe(2001);
    expect(statSync(join(deep, 'big')).size).toBe(3000 * 1024);
  };

  await test.step('into the environment, with what is missing reported', async () => {
    const done = await lagoOk(scratch, ['collect']);
    const folder = done.stdout.trim();
    expect(folder).toMatch(/\.lago\/default\/collected\/[\d-]+_[\d-]+$/);
    expect(done.stderr).toContain('web does not have /no/such.');
    expectFilled(join(folder, 'web'), 'web');
    expectFilled(join(folder, 'db'), 'db');
    expect(JSON.parse(readFileSync(`${folder}.json`, 'utf8'))).toMatchObject({
      why: 'manual',
      finished: true,
      vms: [
        {
          name: 'web',
          by: 'ssh',
          problem: null,
          artifacts: [{ path: '/var/log' }, { path: '/root/a b', size: 4 }, { missing: true, name: null }],
        },
        { name: 'db', by: 'ssh' },
      ],
    });
    const strict = await lago(scratch, ['collect', '--no-skip', '--output', 'strict']);
    expect(strict.code).toBe(6);
    expect(strict.stderr).toContain('Failed to collect everything from web, db. web: there is no /no/such.');
    expectFilled(join(scratch.dir, 'strict/db'), 'db');
  });

  await test.step('by the guest agent of a VM whose ssh is dead', async () => {
    await lagoOk(scratch, ['snapshot', 'reachable']);
    // Its ssh server is gone after this, with the connection.
    await lago(scratch, ['shell', 'db', 'killall dropbear']);
    const done = await lagoOk(scratch, ['collect', '--output', 'by-agent', 'db']);
    expect(done.stderr).toContain('Collecting from db by its guest agent, which is slow.');
    expectFilled(join(scratch.dir, 'by-agent/db'), 'db');
    expect(collections().at(-1)).toMatchObject({ vms: [{ name: 'db', by: 'agent', artifacts: [{}, { size: 3 }, { missing: true }] }] });
  });

  await test.step('a VM that does not answer keeps nobody from finishing', async () => {
    await lagoOk(scratch, ['suspend', 'db']);
    const done = await lago(scratch, ['collect', '--output', 'out']);
    expect(done.code).toBe(6);
    expect(done.stderr).toContain('Failed to collect everything from db. db: db is suspended.');
    expect(done.stderr).toContain('Stop it first: the artifacts of VMs that are off are read from their disks.');
    expectFilled(join(scratch.dir, 'out/web'), 'web');
    expect(existsSync(join(scratch.dir, 'out/db'))).toBe(false);
  });

  await test.step('from the disk of a VM that was powered off, into a folder of its own', async () => {
    await lagoOk(scratch, ['revert', 'reachable']);
    await inVm('db', 'cd /var/log; truncate -s 1G huge; echo data | dd of=huge bs=1M seek=500 conv=notrunc; sync');
    await lagoOk(scratch, ['stop', 'db']);
    const done = await lagoOk(scratch, ['collect', '--output', 'out', 'db']);
    expect(done.stdout).toBe(`${join(scratch.dir, 'out')}\n`);
    expectFilled(join(scratch.dir, 'out/db'), 'db');
    const huge = join(scratch.dir, 'out/db/_var_log/huge');
    expect(statSync(huge)).toMatchObject({ size: 2 ** 30 });
    expect(
      execFileSync('dd', [`if=${huge}`, 'bs=1M', 'skip=500', 'count=1', 'status=none'])
        .subarray(0, 5)
        .toString(),
    ).toBe('data\n');
    const old = names(scratch.dir).find((name) => /^out\.\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d$/.test(name)) ?? '';
    expectFilled(join(scratch.dir, old, 'web'), 'web');
    // The disk is as it was: the VM starts from it.
    await lagoOk(scratch, ['start', 'db']);
    expect(await inVm('db', 'cat /var/log/deep/name')).toBe('db\n');
  });

  await test.step('what is killed in the middle leaves no half file, and the next one works', async () => {
    const killed = await lago(scratch, ['collect', '--output', 'killed', 'web'], {
      onStart: (child) => {
        const wait = setInterval(() => {
          if (!existsSync(join(scratch.dir, 'killed/web'))) return;
          clearInterval(wait);
          child.kill('SIGKILL');
        }, 5);
      },
    });
    expect(killed.code).toBe(137);
    await lagoOk(scratch, ['collect', '--output', 'killed', 'web']);
    expectFilled(join(scratch.dir, 'killed/web'), 'web');
  });

  await lagoOk(scratch, ['destroy', '--yes']);
  expect(existsSync(join(scratch.dir, '.lago'))).toBe(false);
  await expectNothingLeft(scratch, namespaces);
});
