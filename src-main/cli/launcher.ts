import { existsSync, fstatSync, mkdirSync, openSync, readdirSync, readSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';

/**
 * What starts the command line: loads the parts of the program (`scripts/bundle-cli.ts` puts them into one file beside this one) when
 * they are asked for, and keeps what V8 made of them in the user's cache folder: compiling takes longer than all else that a short
 * verb does. Node's own cache of this kind (`module.enableCompileCache`) exists only from 22.1.
 */

type Place = readonly [offset: number, length: number];
type Places = Readonly<Record<string, Place>>;

/** Put in when the program is bundled. The file's name has a hash of all the program. */
declare const PARTS_FILE: string;
declare const PARTS: Places;

type Part = (
  exports: object,
  module: object,
  require: (name: string) => unknown,
  requireLater: typeof loadLater,
  dirname: string,
  importFromNode: (url: string) => Promise<unknown>,
) => void;

const HEAD = '(function(exports,module,require,requireLater,__dirname,importFromNode){';
/** What was written longer ago is removed: programs that were replaced leave it behind. */
const KEPT_MS = 30 * 24 * 3600_000;

// Stays open: a program that runs for long still finds its parts after a newer one was put in its place.
const partsFile = openSync(join(__dirname, PARTS_FILE), 'r');
const loaded = new Map<string, { exports: object }>();
/** Parts for which nothing was kept yet. */
const compiled = new Map<string, Script>();
let kept: { readonly file: number; readonly places: Places } | undefined;

function read(file: number, [offset, length]: Place): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  return bytes.subarray(0, readSync(file, bytes, 0, length, offset));
}

function load(name: string): unknown {
  const place = PARTS[name];
  if (place === undefined) return require(name);
  let module = loaded.get(name);
  if (module === undefined) {
    module = { exports: {} };
    loaded.set(name, module);
    const part = compile(name, `${HEAD}${read(partsFile, place).toString('latin1')}\n})`).runInThisContext() as Part;
    part(module.exports, module, load, loadLater, __dirname, async (url) => await import(url));
  }
  return module.exports;
}

/** A module that is loaded when it is first used. */
function loadLater(name: string): () => unknown {
  let module: unknown;
  return () => (module ??= load(name));
}

function compile(name: string, text: string): Script {
  const cachedData = codeOf(name);
  const filename = `${__filename}/${name.slice(2)}`;
  const script = new Script(text, { filename, columnOffset: -HEAD.length, ...(cachedData && { cachedData }) });
  if (cachedData === undefined || script.cachedDataRejected === true) compiled.set(name, script);
  return script;
}

/**
 * What was kept of a part. V8 looks whether it is for this version, these flags and a text of this length, and trusts the rest, so that a
 * damaged file could crash it. Everything is therefore written twice and has to be the same: to compare is quicker than any checksum.
 */
function codeOf(name: string): Buffer | undefined {
  try {
    const place = kept?.places[name];
    if (kept === undefined || place === undefined) return undefined;
    const [offset, length] = place;
    const code = read(kept.file, place);
    return code.length === length && code.length > 0 && code.equals(read(kept.file, [offset + length, length])) ? code : undefined;
  } catch {
    return undefined; // It is as if it had never been kept.
  }
}

/** Undefined for a user without a home folder. */
function cachePath(): string | undefined {
  const { XDG_CACHE_HOME: cache = '', HOME: home = '' } = process.env;
  const folder = cache.startsWith('/') ? cache : home.startsWith('/') && existsSync(home) ? join(home, '.cache') : undefined;
  return folder && join(folder, 'lago', 'code', `${PARTS_FILE}-${process.versions.v8}-${process.arch}`);
}

function openKept(path: string): typeof kept {
  try {
    const file = openSync(path, 'r');
    // It is run: what another user can write must not be.
    const { uid, mode } = fstatSync(file);
    if (uid !== process.geteuid?.() || (mode & 0o022) !== 0) return undefined;
    const length = Number(read(file, [0, 8]).toString('latin1'));
    return { file, places: JSON.parse(read(file, [8, length]).toString('latin1')) as Places };
  } catch {
    return undefined; // There is none, or it is damaged: the next one takes its place.
  }
}

/** Writes what was compiled in this run beside what was kept before. Where it cannot, it only costs time. */
function keep(path: string): void {
  if (compiled.size === 0) return;
  const folder = dirname(path);
  const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(temporary, '', { flag: 'wx', mode: 0o600 });
    try {
      writeFileSync(temporary, contentOf(codes()), { flush: true });
      renameSync(temporary, path);
    } finally {
      rmSync(temporary, { force: true });
    }
    for (const old of readdirSync(folder).map((name) => join(folder, name))) {
      if (statSync(old).mtimeMs < Date.now() - KEPT_MS) rmSync(old);
    }
  } catch {
    // A folder that is read-only, a full disk: the next run compiles again.
  }
}

interface Code {
  readonly name: string;
  readonly code: Buffer;
}

function codes(): readonly Code[] {
  return Object.keys(PARTS).flatMap((name) => {
    const code = compiled.get(name)?.createCachedData() ?? codeOf(name);
    return code === undefined ? [] : [{ name, code }];
  });
}

/** The length of the index in eight digits, the index as JSON, and each piece of code twice. */
function contentOf(codes: readonly Code[]): Buffer {
  // Spaces make the index as long as it is said to be before the places, which depend on that, are known.
  const room = codes.reduce((sum, { name }) => sum + name.length + 32, 2);
  let offset = 8 + room;
  const places: Record<string, Place> = {};
  for (const { name, code } of codes) {
    places[name] = [offset, code.length];
    offset += 2 * code.length;
  }
  const index = `${String(room).padStart(8)}${JSON.stringify(places).padEnd(room)}`;
  return Buffer.concat([Buffer.from(index), ...codes.flatMap(({ code }) => [code, code])]);
}

const path = cachePath();
if (path !== undefined) {
  kept = openKept(path);
  process.on('exit', () => keep(path));
}
load('./main.js');
