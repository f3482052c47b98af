import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { useFork } from './support/forks.ts';
import { lago, lagoOk } from './support/lago.ts';
import { expectNothingLeft, ownedNamespaces } from './support/leaks.ts';
import type { Scratch } from './support/scratch.ts';

let scratch: Scratch;
useFork('default', (made) => {
  scratch = made;
});

const ODD = ['a b', '-dash', 'line\nbreak', 'ünï', '$(x)`y`', `q"uote's`, '.hidden', '...', 'x'.repeat(200)];
const FILES = 5000;

/** 5,000 small files in 350 folders, odd names, links and modes. */
function makeTree(root: string): void {
  mkdirSync(join(root, 'empty'), { recursive: true });
  for (let n = 0; n < FILES; n++) {
    const folder = join(root, `d${n % 50}/e${n % 7}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${n}`), randomBytes(n % 900), { mode: n % 3 === 0 ? 0o755 : 0o640 });
  }
  mkdirSync(join(root, 'odd'));
  for (const name of ODD) writeFileSync(join(root, 'odd', name), `content of ${name}`);
  symlinkSync('a b', join(root, 'odd/link'));
  symlinkSync('/nowhere', join(root, 'odd/dangling'));
  chmodSync(join(root, 'empty'), 0o700);
  utimesSync(join(root, 'odd/a b'), 1e9, 1e9);
}

/** Names, modes and targets; times and checksums of files. */
function described(root: string): string {
  const list = execFileSync('find', ['.', '-printf', '%y %m %p %l\\n'], { cwd: root, encoding: 'utf8' });
  const sums = execFileSync('sh', ['-c', 'find . -type f -printf "%T@ %p\\n"; find . -type f -exec md5sum {} +'], {
    cwd: root,
    encoding: 'utf8',
  });
  const sorted = (text: string): string => text.split('\n').sort().join('\n');
  return sorted(list) + sorted(sums.replaceAll(/\.\d+ /g, ' '));
}

const inVm = async (command: string): Promise<string> => (await lagoOk(scratch, ['shell', 'web', command])).stdout;
const names = (folder: string): string[] => readdirSync(folder).sort();

test('copies to and from a VM: 5,000 files, odd names, a sparse file, interruption, guests without tar or sftp', async () => {
  test.setTimeout(1_200_000);
  await lagoOk(scratch, ['stop', 'db']);
  const off = await lago(scratch, ['copy-to-vm', 'db', '/etc/hostname', '/tmp']);
  expect(off.code).toBe(2);
  expect(off.stderr).toContain('VM db is not running.');
  const namespaces = ownedNamespaces(scratch);
  const tree = join(scratch.dir, 'tree');
  makeTree(tree);

  await test.step('a tree is the same there and back again', async () => {
    const sent = await lagoOk(scratch, ['copy-to-vm', 'web', 'tree', '/root']);
    expect(sent.stderr).toMatch(/Copied 5011 files \([\d.]+ MiB\) to \/root\/tree/);
    expect((await inVm('cd /root/tree; find . -type f | wc -l; cat "odd/a b"; readlink odd/dangling')).split('\n')).toEqual([
      // One name has a line break.
      String(FILES + ODD.length + 1),
      'content of a b/nowhere',
      '',
    ]);
    await lagoOk(scratch, ['copy-from-vm', 'web', 'tree', 'back']);
    expect(described(join(scratch.dir, 'back'))).toBe(described(tree));
  });

  await test.step('a sparse file of 1 GiB fits into a guest with less room', async () => {
    const sparse = join(scratch.dir, 'sparse');
    writeFileSync(sparse, '');
    truncateSync(sparse, 2 ** 30);
    execFileSync('dd', ['if=/dev/zero', `of=${sparse}`, 'bs=1M', 'seek=500', 'count=0', 'conv=notrunc', 'status=none']);
    execFileSync('sh', ['-c', `printf data | dd of=${sparse} bs=1M seek=500 conv=notrunc status=none`]);
    await lagoOk(scratch, ['copy-to-vm', 'web', 'sparse', '/root/']);
    expect(
      await inVm('stat -c %s sparse; du -k sparse | cut -f1; dd if=sparse bs=1M skip=500 count=1 2>/dev/null | head -c 4; rm sparse'),
    ).toBe('1073741824\n64\ndata');
  });

  await test.step('what is killed in the middle leaves nothing and can be repeated', async () => {
    const killed = await lago(scratch, ['copy-to-vm', 'web', 'tree/.', '/root/second'], {
      onStart: (child) => {
        const wait = setInterval(() => {
          // The command line has written its log when the copy has begun.
          const log = readFileSync(join(scratch.workdir, 'default/logs/lago.log'), 'utf8');
          if (log.split(' start Copy to web').length < 4) return;
          clearInterval(wait);
          child.kill('SIGKILL');
        }, 20);
      },
    });
    expect(killed.code).toBe(137);
    await expect.poll(async () => await inVm('ls -A /root | grep -c -e lago- -e second || true'), { timeout: 60_000 }).toBe('0\n');
    const half = await lago(scratch, ['copy-from-vm', 'web', 'tree', 'half'], {
      onStart: (child) => {
        const wait = setInterval(() => {
          if (!names(scratch.dir).some((name) => name.startsWith('.half.'))) return;
          clearInterval(wait);
          child.kill('SIGKILL');
        }, 20);
      },
    });
    expect(half.code).toBe(137);
    expect(existsSync(join(scratch.dir, 'half'))).toBe(false);
    await lagoOk(scratch, ['copy-from-vm', 'web', 'tree/odd', 'half']);
    expect(described(join(scratch.dir, 'half'))).toBe(described(join(tree, 'odd')));
    expect(names(scratch.dir).filter((name) => name.startsWith('.half'))).toEqual([]);
  });

  await test.step('without sftp it is the same; without tar it takes sftp', async () => {
    await inVm('mv /usr/lib/sftp-server /usr/lib/sftp-server.off');
    await lagoOk(scratch, ['copy-to-vm', 'web', 'tree/odd', 'plain']);
    await lagoOk(scratch, ['copy-from-vm', 'web', 'plain', 'plain']);
    expect(described(join(scratch.dir, 'plain'))).toBe(described(join(tree, 'odd')));
    // Unlike busybox's shell, bash has no tar of its own.
    await inVm('ln -sf bash /bin/sh; mv /bin/tar /bin/tar.off');
    const neither = await lago(scratch, ['copy-to-vm', 'web', 'tree/odd', 'neither']);
    expect(neither.code).toBe(6);
    expect(neither.stderr).toContain('web has neither tar nor an sftp server: only single files can be copied.');
    await lagoOk(scratch, ['copy-to-vm', '--', 'web', 'tree/odd/a b', '-single']);
    await lagoOk(scratch, ['copy-from-vm', '--', 'web', '-single', 'single']);
    expect(readFileSync(join(scratch.dir, 'single'), 'utf8')).toBe('content of a b');
    expect(statSync(join(scratch.dir, 'single')).mtimeMs).toBe(1e12);
    await inVm('mv /usr/lib/sftp-server.off /usr/lib/sftp-server');
    await lagoOk(scratch, ['copy-to-vm', 'web', 'tree/odd', 'by-sftp']);
    await lagoOk(scratch, ['copy-from-vm', 'web', 'by-sftp', 'by-sftp']);
    expect(described(join(scratch.dir, 'by-sftp'))).toBe(described(join(tree, 'odd')));
  });

  await test.step('what cannot be copied is said', async () => {
    const missing = await lago(scratch, ['copy-from-vm', 'web', '/no/such', '.']);
    expect(missing).toMatchObject({ code: 2 });
    expect(missing.stderr).toContain('web: /no/such: No such file or directory.');
    const full = await lago(scratch, ['copy-to-vm', 'web', 'tree/odd', '/proc/x']);
    expect(full.code).toBe(6);
    expect(full.stderr).toContain('Failed to copy to /proc/x in web:');
    expect((await lago(scratch, ['copy-to-vm', 'nobody', 'tree', '/root'])).stderr).toContain('There is no VM "nobody" in default.');
  });

  await lagoOk(scratch, ['destroy', '--yes']);
  await expectNothingLeft(scratch, namespaces);
});
