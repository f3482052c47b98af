import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Adds optional packages for other systems that npm left out to package-lock.json (`npm run lock`). A registry mirror may lack them; then
 * `npm install` drops them silently, and `npm ci` refuses the lock. They are never downloaded on systems that they are not
 * meant for.
 */
export interface LockEntry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
export interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

const SYSTEMS = ['android', 'darwin', 'win32', 'freebsd', 'openbsd', 'netbsd', 'sunos', 'aix', 'linux', 'openharmony'];
const PROCESSORS = ['arm64', 'x64', 'ia32', 'ppc64', 's390x', 'riscv64', 'loong64', 'mips64el', 'wasm32'];

/** Whether Node's lookup from the package at `where` finds `name` in the lock. */
function isLocked(lock: Lock, where: string, name: string): boolean {
  for (let folder = where; ; ) {
    if (`${folder === '' ? '' : `${folder}/`}node_modules/${name}` in lock.packages) return true;
    if (folder === '') return false;
    const parent = folder.lastIndexOf('node_modules/');
    folder = parent <= 0 ? '' : folder.slice(0, parent - 1);
  }
}

/** Optional packages that the lock refers to but does not contain: name and version range. */
export function missingOptional(lock: Lock): ReadonlyMap<string, string> {
  const missing = new Map<string, string>();
  for (const [where, entry] of Object.entries(lock.packages)) {
    for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
      if (!isLocked(lock, where, name)) missing.set(name, range);
    }
  }
  return missing;
}

/** The lock entry of a system-specific package, derived from its name: `@scope/binding-linux-arm64-musl`. */
function entryOf(name: string, range: string): object {
  const os = SYSTEMS.filter((system) => name.includes(system));
  const cpu = /-arm-|armv7|eabihf/.test(name)
    ? ['arm']
    : PROCESSORS.filter((processor) => new RegExp(`[-/]${processor}(?![a-z0-9])`).test(name));
  if (os.length !== 1 || cpu.length !== 1) throw new Error(`${name} names no single system; add it to package-lock.json by hand.`);
  const libc = name.includes('musl') ? ['musl'] : os[0] === 'linux' && name.includes('gnu') ? ['glibc'] : undefined;
  return { version: range.replace(/^[\^~]/, ''), cpu, dev: true, ...(libc === undefined ? {} : { libc }), optional: true, os };
}

const file = resolve(fileURLToPath(import.meta.url), '../../package-lock.json');
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const lock = JSON.parse(readFileSync(file, 'utf8')) as Lock;
  const added = [...missingOptional(lock)].map(([name, range]) => [`node_modules/${name}`, entryOf(name, range)] as const);
  const packages = Object.fromEntries([...Object.entries(lock.packages), ...added].sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(file, `${JSON.stringify({ ...lock, packages }, null, 2)}\n`);
  process.stdout.write(`${added.length} packages added\n`);
}
