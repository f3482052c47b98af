import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { loadedWhenUsed, writeProgram } from './cli-program.ts';

const PARTS = {
  './main.js': `const first=requireLater("./first.js"),os=requireLater("node:os");
if(process.argv[2]==="fail")first().fail();
if(process.argv[2]==="late")process.stdin.once("data",()=>console.log(require("./late.js").text));
console.log(first().text+typeof os().cpus);`,
  './first.js': 'exports.text="first ";exports.fail=()=>{throw new Error("on purpose")};',
  './late.js': 'exports.text="late";',
};
const SAID = 'first function\n';

const root = mkdtempSync(join(tmpdir(), 'lago-program-'));
const program = join(root, 'program.cjs');
const cache = join(root, 'cache');
const folder = join(cache, 'lago/code');

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], env: Readonly<Record<string, string>> = { XDG_CACHE_HOME: cache }, flags: readonly string[] = []) {
  const child = spawn(process.execPath, [...flags, program, ...args], { env });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => void (said.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => void (said.stderr += chunk.toString()));
  const ended = new Promise<Ended>((done) => child.on('close', (code) => done({ code, ...said })));
  return { child, ended };
}

async function run(args: readonly string[] = [], env?: Readonly<Record<string, string>>, flags?: readonly string[]): Promise<Ended> {
  return await start(args, env, flags).ended;
}

function kept(): string {
  const names = readdirSync(folder);
  expect(names).toHaveLength(1);
  return join(folder, names[0] ?? '');
}

beforeAll(async () => await writeProgram(program, PARTS));
beforeEach(() => rmSync(cache, { recursive: true, force: true }));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test('keeps what it compiled, for this user alone, and writes it again only when there is more', async () => {
  expect(await run()).toEqual({ code: 0, stdout: SAID, stderr: '' });
  const first = statSync(kept());
  expect(first.mode & 0o777).toBe(0o600);
  expect((await run()).stdout).toBe(SAID);
  expect(statSync(kept()).ino).toBe(first.ino);
  const { child, ended } = start(['late']);
  child.stdin.end('go');
  expect((await ended).stdout).toBe(`${SAID}late\n`);
  expect(statSync(kept()).size).toBeGreaterThan(first.size);
});

test.each<[string, (path: string, whole: Buffer) => void]>([
  ['empty', (path) => truncateSync(path, 0)],
  ['cut off', (path, whole) => truncateSync(path, whole.length - 100)],
  ['all zeros', (path, whole) => writeFileSync(path, Buffer.alloc(whole.length))],
  ['another file', (path) => writeFileSync(path, 'not what was written')],
  ['an index of nonsense', (path) => writeFileSync(path, `      40${'{"./main.js":[-1,"x"],"./first.js":7}'.padEnd(40)}`)],
  ['a bit wrong in the code', (path, whole) => writeFileSync(path, withBitsFlipped(whole, Math.floor(whole.length * 0.9)))],
  ['a bit wrong everywhere', (path, whole) => writeFileSync(path, withBitsFlipped(whole, ...whole.keys()))],
  ['code of another version of V8', (path, whole) => writeFileSync(path, withOtherVersion(whole))],
  ['writable by others', (path) => chmodSync(path, 0o666)],
])('compiles again when what it kept is damaged or foreign: %s', async (_, damage) => {
  await run();
  const path = kept();
  damage(path, readFileSync(path));
  const before = statSync(path).ino;
  expect(await run()).toEqual({ code: 0, stdout: SAID, stderr: '' });
  const after = statSync(kept());
  expect(after.ino).not.toBe(before);
  await run();
  expect(statSync(kept()).ino).toBe(after.ino);
});

function withBitsFlipped(bytes: Buffer, ...at: readonly number[]): Buffer {
  const changed = Buffer.from(bytes);
  for (const index of at) changed[index] = (changed[index] ?? 0) ^ 1;
  return changed;
}

/** V8's header of each piece of code begins with a magic number and a hash of the version; both copies get another hash. */
function withOtherVersion(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  const length = Number(bytes.subarray(0, 8).toString());
  const places = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<string, [number, number]>;
  for (const [offset, size] of Object.values(places)) for (const copy of [offset, offset + size]) changed.writeUInt32LE(1, copy + 4);
  return changed;
}

test('works under other flags than those with which it was compiled', async () => {
  await run();
  expect(await run([], undefined, ['--no-flush-bytecode'])).toEqual({ code: 0, stdout: SAID, stderr: '' });
});

test('works without a place to keep anything, and makes no home folder', async () => {
  const file = join(root, 'file');
  writeFileSync(file, '');
  const nowhere = join(root, 'nowhere');
  for (const env of [{ XDG_CACHE_HOME: file }, { HOME: '' }, { HOME: nowhere }, {}]) {
    expect(await run([], env)).toEqual({ code: 0, stdout: SAID, stderr: '' });
  }
  expect(existsSync(nowhere)).toBe(false);
  mkdirSync(nowhere);
  await run([], { HOME: nowhere });
  expect(readdirSync(join(nowhere, '.cache/lago/code'))).toHaveLength(1);
  chmodSync(join(nowhere, '.cache/lago/code'), 0o500);
  expect((await run([], { HOME: nowhere })).stdout).toBe(SAID);
});

test('many at once leave one whole file', async () => {
  const ended = await Promise.all(Array.from({ length: 6 }, async () => await run()));
  expect(ended.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 6 }, () => SAID));
  const { ino } = statSync(kept());
  await run();
  expect(statSync(kept()).ino).toBe(ino);
});

test('names part, line and column in a stack, compiled just now or before', async () => {
  const column = PARTS['./first.js'].indexOf('new Error') + 1;
  for (let turn = 0; turn < 2; turn++) {
    const { code, stderr } = await run(['fail']);
    expect(code).toBe(1);
    expect(stderr).toContain(`${program}/first.js:1:${column}`);
    expect(stderr).toContain(`${program}/main.js:2:`);
  }
});

test('a program that runs finds its parts when a newer one takes its place, and nothing is left of the old one', async () => {
  const other = join(root, 'other.cjs');
  await writeProgram(other, PARTS);
  const child = spawn(process.execPath, [other, 'late'], { env: { HOME: '' } });
  let said = '';
  const ended = new Promise((done) => child.on('close', done));
  await new Promise<void>((done) =>
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      done();
    }),
  );
  await writeProgram(other, { './main.js': 'console.log("new")' });
  child.stdin.end('go');
  expect(await ended).toBe(0);
  expect(said).toBe(`${SAID}late\n`);
  expect(readdirSync(root).filter((name) => name.startsWith('other'))).toHaveLength(2);
});

test('has a part load what it imports when that is used', () => {
  expect(
    loadedWhenUsed(
      'var import_node_fs=require("node:fs"),import_chunk_A1=require("./chunk-A1.js"),import_chunk_A=require("./chunk-A.js");throw new import_chunk_A.Failed(import_chunk_A1.x)',
    ),
  ).toBe(
    'var import_node_fs=requireLater("node:fs"),import_chunk_A1=requireLater("./chunk-A1.js"),import_chunk_A=requireLater("./chunk-A.js");throw new (import_chunk_A()).Failed((import_chunk_A1()).x)',
  );
  expect(loadedWhenUsed('var import_x=__toESM(require("x"));import_x.default()')).toBe(
    'var import_x=__toESM(require("x"));import_x.default()',
  );
});
