import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { twoVms } from './support/init-files.ts';
import { lago, lagoOk, type Outcome } from './support/lago.ts';
import { ownedProcesses } from './support/leaks.ts';
import { useScratch } from './support/prologue.ts';
import { root, type Scratch } from './support/scratch.ts';

/** Common machine problems: each ends with a sentence, a next step and an exit code, and leaves nothing behind. */

let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

function expectSentence(outcome: Outcome, code: number, says: RegExp): void {
  expect(outcome.stderr).toMatch(says);
  expect(outcome.code).toBe(code);
  expect(outcome.stderr).not.toMatch(/\n\s+at /);
}

/** No environment, no template, no lease, no process. */
function expectNothingMade(): void {
  expect(existsSync(join(scratch.dir, '.lago'))).toBe(false);
  expect(readdirSync(join(scratch.dir, 'store')).filter((name) => !/\.(?:lock|part|part\.json)$/.test(name))).toEqual([]);
  expect(readdirSync(join(scratch.dir, 'leases')).filter((name) => name.endsWith('.lease'))).toEqual([]);
  expect(ownedProcesses(scratch)).toEqual([]);
}

/** A separate repository with the sample guest, which declares the checksum `hash`. */
function repositoryWith(hash: string): string {
  const from = join(root, '.cache/templates');
  const image = readdirSync(from).find((name) => name.endsWith('.qcow2')) ?? '';
  const folder = join(scratch.dir, 'repository');
  mkdirSync(folder);
  copyFileSync(join(from, image), join(folder, 'sample.qcow2'));
  writeFileSync(join(folder, 'sample.qcow2.hash'), hash);
  copyFileSync(join(from, `${image}.metadata`), join(folder, 'sample.qcow2.metadata'));
  const file = join(folder, 'repo.json');
  writeFileSync(
    file,
    JSON.stringify({
      name: 'own',
      sources: { here: { type: 'file', args: { root: folder } } },
      templates: { 'lago-sample': { versions: { v1: { source: 'here', handle: 'sample.qcow2', timestamp: 1 } } } },
    }),
  );
  return file;
}

test('a template with a wrong hash is refused', async () => {
  const repository = repositoryWith('0'.repeat(40));
  const outcome = await lago(scratch, ['init', '--template-repo-path', repository, twoVms(scratch, 'pair')]);
  expectSentence(outcome, 5, /does not match.*hash|hash.*does not match/);
  expectNothingMade();
});

test('a repository that cannot be reached is named', async () => {
  const url = 'http://127.0.0.1:9/repo.json';
  const outcome = await lago(scratch, ['init', '--template-repo-path', url, twoVms(scratch, 'pair')]);
  expectSentence(outcome, 2, /127\.0\.0\.1:9\/repo\.json cannot be downloaded/);
  expectNothingMade();
});

test('a prefix that exists is kept as it is', async () => {
  const file = twoVms(scratch, 'pair');
  await lagoOk(scratch, ['init', file]);
  const uuid = readFileSync(join(scratch.dir, '.lago/default/uuid'), 'utf8');
  const outcome = await lago(scratch, ['init', file]);
  expectSentence(outcome, 2, /Prefix with name default already exists/);
  expect(readFileSync(join(scratch.dir, '.lago/default/uuid'), 'utf8')).toBe(uuid);
});

test('no free subnet: the message says where to look for one', async () => {
  const leases = join(scratch.dir, 'leases');
  const owner = join(scratch.dir, 'owner');
  writeFileSync(owner, 'a'.repeat(32));
  for (let octet = 200; octet <= 255; octet++) writeFileSync(join(leases, `${octet}.lease`), JSON.stringify([owner, 'a'.repeat(32)]));
  const file = scratch.write(
    'free.json',
    JSON.stringify({ nets: { n: { type: 'nat', management: true } }, domains: { a: { nics: [{ net: 'n' }], disks: [] } } }),
  );
  const outcome = await lago(scratch, ['--libvirt_url', 'qemu:///system', 'init', file]);
  expectSentence(outcome, 2, /No network is free between .*lago leases/);
  expect(existsSync(join(scratch.dir, '.lago'))).toBe(false);
  expect(readdirSync(leases).filter((name) => name.endsWith('.lease'))).toHaveLength(56);
});

/** Words that run a command in its own mount namespace, after a shell command has prepared it. */
function inside(prepare: string): readonly string[] {
  return ['unshare', '--mount', 'sh', '-c', `${prepare} && exec "$@"`, 'sh'];
}

test('a full disk is noticed before anything is fetched', async () => {
  const enter = inside(`mount -t tmpfs -o size=8m none ${join(scratch.dir, 'store')}`);
  const outcome = await lago(scratch, ['init', twoVms(scratch, 'pair')], { enter });
  expectSentence(outcome, 3, /more are needed|No space/);
  expectNothingMade();
});

test('on a machine without libvirt the message names the package', async () => {
  await lagoOk(scratch, ['init', twoVms(scratch, 'pair')]);
  const outcome = await lago(scratch, ['start'], { enter: inside('mount --bind /dev/null /usr/sbin/libvirtd') });
  expectSentence(outcome, 3, /libvirt-daemon/);
  expect(ownedProcesses(scratch)).toEqual([]);
});

test('a VM that never answers ssh ends the wait with what to look at, and Ctrl-C ends it at once', async () => {
  const file = scratch.write(
    'silent.json',
    JSON.stringify({
      nets: { n: { type: 'nat', management: true, dhcp: { start: 100, end: 200 } } },
      domains: {
        silent: {
          memory: 64,
          vcpu: 1,
          boot_time_sec: 4,
          nics: [{ net: 'n' }],
          disks: [{ name: 'root', dev: 'vda', format: 'qcow2', type: 'empty', size: '64M' }],
        },
      },
    }),
  );
  await lagoOk(scratch, ['init', file]);
  await lagoOk(scratch, ['start']);
  const waited = await lago(scratch, ['shell', 'silent', 'true']);
  expectSentence(waited, 6, /silent/);
  const interrupted = await lago(scratch, ['shell', 'silent', 'true'], {
    onStart: (child) => child.stderr?.once('data', () => child.kill('SIGINT')),
  });
  expect(interrupted.code).toBe(130);
  await lagoOk(scratch, ['destroy', '--yes']);
  expect(ownedProcesses(scratch)).toEqual([]);
});
