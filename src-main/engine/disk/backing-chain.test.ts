import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { runChecked } from '../core/run.ts';
import { UndoStack } from '../core/undo.ts';
import { type Backing, resolveBelow, resolveChain } from './backing-chain.ts';
import { createEmptyDisk, createOverlay, inspectImage } from './qemu-img.ts';

const MIB = 1024 * 1024;
let folder = '';
let undo: UndoStack;
const at = (name: string): string => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago chain, '));
  undo = new UndoStack(silentLog);
});
afterEach(() => rmSync(folder, { recursive: true }));

async function img(...args: readonly string[]): Promise<void> {
  await runChecked(['qemu-img', ...args], args.join(' '));
}

const resolve = async (image: string, missing?: { readonly path: string; readonly template: Backing }): Promise<Backing> =>
  await resolveChain(
    { image: at(image), disk: 'root', missing, copies: at('images/layers'), prefix: 'vm_root' },
    { signal: new AbortController().signal, log: silentLog, undo },
  );

/** A layer with the header that a test wants, true or not. */
async function layer(name: string, below: Partial<Backing> & { readonly path: string }): Promise<void> {
  await img(
    'create',
    '-q',
    '-u',
    '-f',
    'qcow2',
    ...(below.format === undefined ? [] : ['-F', below.format]),
    '-b',
    below.path,
    at(name),
    '1M',
  );
}

/** qemu-img before 6.1 created layers without a format; newer ones do not, so it is removed from the header by hand. */
async function layerWithoutFormat(name: string, below: string): Promise<void> {
  await layer(name, { path: below, format: 'raw' });
  const content = readFileSync(at(name));
  const extension = content.indexOf(Buffer.from([0xe2, 0x79, 0x2a, 0xca]));
  expect(extension).toBeGreaterThan(0);
  content.writeUInt32BE(0x11111111, extension);
  writeFileSync(at(name), content);
  expect((await inspectImage(at(name), { format: 'qcow2' })).backingFormat).toBeUndefined();
}

/** What QEMU reads from the chain, opened as libvirt would: with every format declared. */
async function contentOf(backing: Backing): Promise<Buffer> {
  const out = at(`content-${createHash('sha1').update(backing.path).digest('hex').slice(0, 8)}`);
  await img('convert', '-f', backing.format, '-O', 'raw', backing.path, out);
  return readFileSync(out);
}

function template(name = 'template'): string {
  const path = at(name);
  writeFileSync(path, Buffer.concat([Buffer.from('from the template'), Buffer.alloc(MIB - 17)]));
  return path;
}

describe('a fully declared chain', () => {
  test('is used as it is', async () => {
    await layer('a.qcow2', { path: template(), format: 'raw' });
    await layer('b.qcow2', { path: 'a.qcow2', format: 'qcow2' });
    expect(await resolve('b.qcow2')).toEqual({ path: at('b.qcow2'), format: 'qcow2' });
    expect(existsSync(at('images'))).toBe(false);
  });

  test('may be one image, raw or qcow2', async () => {
    await createEmptyDisk({ path: at('one.qcow2'), format: 'qcow2', size: MIB });
    expect(await resolve('one.qcow2')).toEqual({ path: at('one.qcow2'), format: 'qcow2' });
    template();
    expect(await resolve('template')).toEqual({ path: at('template'), format: 'raw' });
  });
});

describe('a chain that does not', () => {
  test('is copied from there upwards; the user’s files stay as they are', async () => {
    template();
    await layerWithoutFormat('a.qcow2', 'template');
    await layer('b.qcow2', { path: './a.qcow2', format: 'qcow2' });
    const hashes = (): readonly string[] =>
      ['a.qcow2', 'b.qcow2', 'template'].map((name) =>
        createHash('sha1')
          .update(readFileSync(at(name)))
          .digest('hex'),
      );
    const before = hashes();
    const backing = await resolve('b.qcow2');
    expect(backing).toEqual({ path: at('images/layers/vm_root.0.qcow2'), format: 'qcow2' });
    expect(await inspectImage(backing.path)).toMatchObject({ backingFile: at('images/layers/vm_root.1.qcow2'), backingFormat: 'qcow2' });
    expect(await inspectImage(at('images/layers/vm_root.1.qcow2'))).toMatchObject({ backingFile: at('template'), backingFormat: 'raw' });
    expect((await contentOf(backing)).subarray(0, 17).toString()).toBe('from the template');
    expect(hashes()).toEqual(before);
  });

  test('is not guessed where a guess could open another file', async () => {
    writeFileSync(at('secret'), Buffer.alloc(MIB, 7));
    await layer('trap', { path: at('secret'), format: 'raw' });
    await layerWithoutFormat('a.qcow2', 'trap');
    await expect(resolve('a.qcow2')).rejects.toMatchObject({
      code: 'input.invalid',
      message: expect.stringContaining('does not say which format'),
    });
  });
});

describe('a missing parent', () => {
  const missing = (name = 'base:v1'): { readonly path: string; readonly template: Backing } => ({
    path: at(name),
    template: { path: template('store'), format: 'raw' },
  });

  test('is linked beside the image, and the link is removed on failure', async () => {
    await layer('a.qcow2', { path: './base:v1', format: 'raw' });
    const backing = await resolve('a.qcow2', missing());
    expect(backing).toEqual({ path: at('a.qcow2'), format: 'qcow2' });
    expect(readlinkSync(at('base:v1'))).toBe(at('store'));
    expect((await contentOf(backing)).subarray(0, 17).toString()).toBe('from the template');
    await undo.unwind();
    expect(readdirSync(folder)).not.toContain('base:v1');
  });

  test('replaces a dangling link', async () => {
    await layer('a.qcow2', { path: './base:v1', format: 'raw' });
    symlinkSync(at('evicted'), at('base:v1'));
    await resolve('a.qcow2', missing());
    expect(readlinkSync(at('base:v1'))).toBe(at('store'));
  });

  test.each([
    ['of another format than the image says', './base:v1', 'qcow2'],
    ['under a name that is a protocol to QEMU', 'base:v1', 'raw'],
    ['in a folder that is gone', 'gone/base:v1', 'raw'],
  ] as const)('%s gets a copy', async (_, name, format) => {
    await layer('a.qcow2', { path: name, format });
    const backing = await resolve('a.qcow2', missing(name.replace('./', '')));
    expect(backing.path).toBe(at('images/layers/vm_root.0.qcow2'));
    expect(await inspectImage(backing.path)).toMatchObject({ backingFile: at('store'), backingFormat: 'raw' });
    expect(lstatSync(at('base:v1'), { throwIfNoEntry: false })).toBeUndefined();
  });

  test('two levels down is found', async () => {
    await layer('a.qcow2', { path: './base:v1', format: 'raw' });
    await layer('b.qcow2', { path: 'a.qcow2', format: 'qcow2' });
    expect(await resolve('b.qcow2', missing())).toEqual({ path: at('b.qcow2'), format: 'qcow2' });
  });
});

describe('refused', () => {
  test('circles', async () => {
    await layer('a.qcow2', { path: 'b.qcow2', format: 'qcow2' });
    await layer('b.qcow2', { path: 'a.qcow2', format: 'qcow2' });
    symlinkSync('self.qcow2', at('link.qcow2'));
    await layer('self.qcow2', { path: 'link.qcow2', format: 'qcow2' });
    for (const name of ['a.qcow2', 'self.qcow2'])
      await expect(resolve(name)).rejects.toThrow('Disk root and its backing file are the same file.');
  });

  test.each([
    ['gone.img', 'Backing file resolution of disk root failed. Backing file'],
    ['nbd://host/x', 'which is not a file'],
    ['json:{"driver":"file","filename":"/etc/passwd"}', 'which is not a file'],
  ])('a chain that ends at %s', async (path, why) => {
    await layer('a.qcow2', { path, format: 'raw' });
    await expect(resolve('a.qcow2')).rejects.toMatchObject({ code: 'input.invalid', message: expect.stringContaining(why) });
  });

  test('other formats and data files', async () => {
    await img('create', '-q', '-f', 'vmdk', at('x.vmdk'), '1M');
    await layer('a.qcow2', { path: 'x.vmdk', format: 'raw' });
    await img('rebase', '-u', '-f', 'qcow2', '-F', 'vmdk', '-b', 'x.vmdk', at('a.qcow2'));
    await expect(resolve('a.qcow2')).rejects.toThrow('of the format vmdk');
    await img('create', '-q', '-f', 'qcow2', '-o', `data_file=${at('data').replaceAll(',', ',,')}`, at('d.qcow2'), '1M');
    await expect(resolve('d.qcow2')).rejects.toThrow('keeps its data in another file');
  });
});

test('the backing file to record in a copy of an image', async () => {
  mkdirSync(at('sub'));
  await layer('sub/a.qcow2', { path: '../template', format: 'raw' });
  template();
  const request = { image: at('sub/a.qcow2'), disk: 'root', copies: at('images/layers'), prefix: 'vm_root' };
  const options = { signal: new AbortController().signal, log: silentLog, undo };
  expect(await resolveBelow(request, options)).toEqual({ path: at('template'), format: 'raw' });
  expect(await resolveBelow({ ...request, image: at('template') }, options)).toBeUndefined();
  await createOverlay({ path: at('over.qcow2'), backing: at('template'), backingFormat: 'raw' });
  expect((await contentOf({ path: at('over.qcow2'), format: 'qcow2' })).subarray(0, 4).toString()).toBe('from');
});
