import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LocalGuest, startLocalGuest, transferring } from './local-guest.test-support.ts';
import { receive } from './receive.ts';
import { RESUMABLE, send } from './send.ts';

let dir: string;
let home: string;
let guest: LocalGuest;
const lines: string[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lago-copy-'));
  home = join(dir, 'guest');
  mkdirSync(home);
  lines.length = 0;
  guest = await startLocalGuest(home);
});
afterEach(async () => {
  await guest[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

const put = async (local: string, remote: string, signal?: AbortSignal): Promise<string> =>
  await transferring(guest, async (transfer) => await send(transfer, local, remote), {
    lines,
    ...(signal === undefined ? {} : { signal }),
  });
const get = async (remote: string, local: string, signal?: AbortSignal): Promise<string> =>
  await transferring(guest, async (transfer) => await receive(transfer, remote, local), {
    lines,
    ...(signal === undefined ? {} : { signal }),
  });

const ODD = ['a b', '-dash', 'line\nbreak', 'ünï', '$(x)`y`', `q"uote's`, '.hidden', '...', 'x'.repeat(200), '*'];

/** A tree with every kind of name, link, mode and time. */
function makeTree(root: string): void {
  mkdirSync(join(root, 'empty'), { recursive: true });
  mkdirSync(join(root, 'deep/-er/ l'), { recursive: true });
  for (const name of ODD) writeFileSync(join(root, 'deep/-er', name), `content of ${name}`);
  symlinkSync('a b', join(root, 'deep/-er/link'));
  symlinkSync('/nowhere/at all', join(root, 'dangling'));
  symlinkSync(`${'far/'.repeat(40)}away`, join(root, 'long'));
  writeFileSync(join(root, 'run'), '#!/bin/sh\n');
  chmodSync(join(root, 'run'), 0o751);
  utimesSync(join(root, 'run'), 1e9, 1e9);
  chmodSync(join(root, 'empty'), 0o700);
  writeFileSync(join(root, 'sparse'), '');
  truncateSync(join(root, 'sparse'), 8 * 1024 * 1024);
  execFileSync('dd', ['if=/dev/urandom', `of=${join(root, 'sparse')}`, 'bs=1000', 'count=1', 'seek=5000', 'conv=notrunc', 'status=none']);
}

/** Names, modes, times of files, targets and checksums of a tree, for comparison. */
function described(root: string): string {
  const list = execFileSync('find', ['.', '-printf', '%y %m %p %l\\n'], { cwd: root, encoding: 'utf8' });
  const sums = execFileSync('sh', ['-c', 'find . -type f -printf "%T@ " -exec md5sum {} \\;'], { cwd: root, encoding: 'utf8' });
  const sorted = (text: string): string => text.split('\n').sort().join('\n');
  return sorted(list) + sorted(sums.replaceAll(/\.\d+ /g, ' '));
}

function leftovers(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('lago-'));
}

describe('copies', () => {
  test('of a tree are the same there and back again, with holes', async () => {
    const tree = join(dir, 'tree');
    makeTree(tree);
    expect(await put(tree, '.')).toBe('tree');
    expect(described(join(home, 'tree'))).toBe(described(tree));
    expect(statSync(join(home, 'tree/sparse')).blocks * 512).toBeLessThan(1024 * 1024);
    expect(await get('tree', join(dir, 'back'))).toBe(join(dir, 'back'));
    expect(described(join(dir, 'back'))).toBe(described(tree));
    expect(statSync(join(dir, 'back/sparse')).blocks * 512).toBeLessThan(1024 * 1024);
    expect(leftovers(dir)).toEqual([]);
  });

  test('without tar in the guest a tree needs sftp, and files need nothing', async () => {
    await guest[Symbol.asyncDispose]();
    const bin = join(dir, 'bin');
    mkdirSync(bin);
    for (const program of ['sh', 'cat', 'stat', 'mv', 'rm', 'chmod', 'touch', 'tail', 'mkdir', 'dd']) {
      symlinkSync(execFileSync('which', [program], { encoding: 'utf8' }).trim(), join(bin, program));
    }
    guest = await startLocalGuest(home, { path: bin });
    const tree = join(dir, 'tree');
    makeTree(tree);
    await expect(put(tree, 'copy')).rejects.toThrow('web has neither tar nor an sftp server: only single files can be copied.');
    await put(join(tree, 'run'), 'run');
    expect(statSync(join(home, 'run')).mode & 0o777).toBe(0o751);
    expect(statSync(join(home, 'run')).mtimeMs).toBe(1e12);
    await put(join(tree, 'sparse'), '-s');
    expect(await get('-s', join(dir, 'back'))).toBe(join(dir, 'back'));
    expect(readFileSync(join(dir, 'back')).equals(readFileSync(join(tree, 'sparse')))).toBe(true);
  });

  test('go where scp would put them', async () => {
    const file = join(dir, 'file');
    writeFileSync(file, 'one');
    mkdirSync(join(dir, 'folder'));
    writeFileSync(join(dir, 'folder/inner'), 'two');
    mkdirSync(join(home, 'there'));
    expect(await put(file, 'there')).toBe('there/file');
    expect(await put(file, 'there/other')).toBe('there/other');
    expect(await put(join(dir, 'folder'), 'there')).toBe('there/folder');
    expect(await put(`${join(dir, 'folder')}/.`, '~/there')).toBe('./there');
    expect(readdirSync(join(home, 'there')).sort()).toEqual(['file', 'folder', 'inner', 'other']);
    await expect(put(file, 'missing/file')).rejects.toThrow('there is no directory missing');
    await expect(put(join(dir, 'folder'), 'there/file')).rejects.toThrow('it exists and is not a directory');
    await expect(put(join(dir, 'nothing'), 'x')).rejects.toThrow(`There is no file or directory ${join(dir, 'nothing')}.`);
    await expect(get('missing', join(dir, 'x'))).rejects.toThrow('web: missing: No such file or directory.');
    await expect(get('there', join(dir, 'no/such'))).rejects.toThrow(`There is no directory ${join(dir, 'no')} to copy to.`);
    expect(await get('there/file', join(dir, 'folder'))).toBe(join(dir, 'folder/file'));
  });

  test('are added to a folder that exists, on both sides', async () => {
    const tree = join(dir, 'tree');
    makeTree(tree);
    await put(tree, 'copy');
    writeFileSync(join(home, 'copy/deep/-er/a b'), 'old');
    writeFileSync(join(home, 'copy/own'), 'kept');
    await put(`${tree}/.`, 'copy');
    expect(readFileSync(join(home, 'copy/own'), 'utf8')).toBe('kept');
    expect(readFileSync(join(home, 'copy/deep/-er/a b'), 'utf8')).toBe('content of a b');
    mkdirSync(join(dir, 'out/copy/deep'), { recursive: true });
    writeFileSync(join(dir, 'out/copy/own here'), 'kept');
    await get('copy', join(dir, 'out'));
    expect(readFileSync(join(dir, 'out/copy/own here'), 'utf8')).toBe('kept');
    expect(readFileSync(join(dir, 'out/copy/deep/-er/-dash'), 'utf8')).toBe('content of -dash');
    expect(leftovers(dir)).toEqual([]);
  });

  test('never follow a link that an earlier copy has left', async () => {
    mkdirSync(join(home, 'tree/x'), { recursive: true });
    writeFileSync(join(home, 'tree/x/file'), 'from the guest');
    mkdirSync(join(dir, 'outside'));
    mkdirSync(join(dir, 'out/tree'), { recursive: true });
    symlinkSync(join(dir, 'outside'), join(dir, 'out/tree/x'));
    await expect(get('tree', join(dir, 'out'))).rejects.toThrow('is not a directory');
    expect(readdirSync(join(dir, 'outside'))).toEqual([]);
  });

  test('leave out sockets and pipes, with a warning', async () => {
    mkdirSync(join(dir, 'tree'));
    execFileSync('mkfifo', [join(dir, 'tree/pipe')]);
    writeFileSync(join(dir, 'tree/file'), 'x');
    await put(join(dir, 'tree'), 'copy');
    expect(readdirSync(join(home, 'copy'))).toEqual(['file']);
    expect(lines.join('\n')).toContain(`Skipped ${join(dir, 'tree/pipe')}: it is neither a file nor a directory nor a link.`);
    execFileSync('mkfifo', [join(home, 'copy/pipe')]);
    await get('copy', join(dir, 'back'));
    expect(readdirSync(join(dir, 'back'))).toEqual(['file']);
    expect(lines.join('\n')).toContain('Skipped "./pipe"');
  });

  test('of a large file continue where they were interrupted, and start over when it has changed', async () => {
    const file = join(dir, 'large');
    const content = Buffer.alloc(RESUMABLE + 1000, 'content ');
    writeFileSync(file, content);
    const { mtimeMs } = statSync(file);
    const part = `.large.${content.length}-${Math.floor(mtimeMs / 1000)}.lago-part`;
    writeFileSync(join(home, part), content.subarray(0, 5000));
    await put(file, 'large');
    expect(lines.join('\n')).toContain('at byte 5000');
    expect(readFileSync(join(home, 'large')).equals(content)).toBe(true);
    mkdirSync(join(dir, 'back'));
    writeFileSync(join(dir, 'back', part), content.subarray(0, 7000));
    writeFileSync(join(dir, 'back', '.large.17000000-5.lago-part'), 'of an older version');
    await get('large', join(dir, 'back'));
    expect(lines.join('\n')).toContain('at byte 7000');
    expect(readFileSync(join(dir, 'back/large')).equals(content)).toBe(true);
    expect(leftovers(dir)).toEqual([]);
  });

  test('that are cancelled leave nothing', async () => {
    mkdirSync(join(dir, 'tree'));
    for (let n = 0; n < 200; n++) writeFileSync(join(dir, 'tree', String(n)), Buffer.alloc(100_000, n));
    const abort = new AbortController();
    const stopAt = (bytes: number) => async (transfer: Parameters<typeof send>[0]) => {
      const { progress } = transfer;
      const add = progress.addBytes.bind(progress);
      progress.addBytes = (count) => {
        add(count);
        if (progress.bytes > bytes) abort.abort();
      };
      return await send(transfer, join(dir, 'tree'), 'copy');
    };
    await expect(transferring(guest, stopAt(3_000_000), { signal: abort.signal })).rejects.toMatchObject({ code: 'cancelled' });
    await expect.poll(() => readdirSync(home)).toEqual([]);
    const full = new AbortController();
    setImmediate(() => full.abort());
    await expect(get('copy', join(dir, 'back'), full.signal)).rejects.toMatchObject({ code: 'cancelled' });
    expect(existsSync(join(dir, 'back'))).toBe(false);
    expect(leftovers(dir)).toEqual([]);
  });

  test('of what the guest cannot read completely bring the rest and fail', async () => {
    mkdirSync(join(home, 'tree'));
    writeFileSync(join(home, 'tree/open'), 'x');
    writeFileSync(join(home, 'tree/shut'), 'x', { mode: 0 });
    chmodSync(dir, 0o755);
    await guest[Symbol.asyncDispose]();
    guest = await startLocalGuest(home, { ordinary: true });
    await expect(get('tree', join(dir, 'back'))).rejects.toThrow(/could not be read completely: .*shut/);
    expect(readdirSync(join(dir, 'back'))).toEqual(['open']);
  });

  test('keep what a link says, wherever it leads', async () => {
    mkdirSync(join(home, 'tree'));
    symlinkSync('../../..', join(home, 'tree/up'));
    await get('tree', join(dir, 'back'));
    expect(readlinkSync(join(dir, 'back/up'))).toBe('../../..');
  });
});
