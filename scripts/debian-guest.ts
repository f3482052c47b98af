import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Builds the Debian guests of tests and benches from packages, as root (fixtures/guest-debian/build.sh). Building takes minutes, so
 * builds are kept in the user's cache folder for all checkouts, under a hash of their recipe and of the kernel package's version. Builds
 * that were not used for two weeks are removed. Prints one line of JSON: `repository` is a template repository with `debian` and
 * `debian-cloud-init`; `env` has the variables that let libguestfs use the guests' kernel if none is installed. Exits with 3 when the
 * guests cannot be built.
 */
const checkout = resolve(fileURLToPath(import.meta.url), '../..');
const recipe = join(checkout, 'fixtures/guest-debian/build.sh');
const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'lago-desktop-guests');
const UNUSED_MS = 14 * 24 * 3_600_000;
const packages = join(checkout, '.cache/guest/packages');

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(3);
}

function keyOf(): string {
  const hash = createHash('sha256')
    .update(readFileSync(recipe))
    .update(readFileSync(join(checkout, 'resources/guest/initrd/init')));
  const { stdout } = spawnSync('apt-cache', ['show', '--no-all-versions', 'linux-image-cloud-amd64'], { encoding: 'utf8' });
  return `${hash.digest('hex').slice(0, 12)}-${/^Version: (.+)$/m.exec(stdout ?? '')?.[1] ?? fail('apt knows no kernel: run apt-get update first.')}`;
}

function build(folder: string): void {
  const working = `${folder}.${randomBytes(4).toString('hex')}`;
  mkdirSync(working, { recursive: true });
  try {
    const { status, stderr } = spawnSync(recipe, [working], { encoding: 'utf8', env: { ...process.env, WORK: packages } });
    if (status !== 0) {
      rmSync(working, { recursive: true, force: true });
      fail(`The Debian guests could not be built.\n${stderr.trim()}`);
    }
    // Another checkout may have built the same guest meanwhile.
    if (!existsSync(folder)) renameSync(working, folder);
  } finally {
    rmSync(working, { recursive: true, force: true });
  }
}

/** Removes builds that no checkout has used lately, and remains of killed builds. */
function evict(): void {
  for (const name of readdirSync(cache)) {
    const path = join(cache, name);
    if (Date.now() - statSync(path).mtimeMs > UNUSED_MS) rmSync(path, { recursive: true, force: true });
  }
}

/** Creates a template repository from the build. */
function publish(folder: string): string {
  const repository = join(folder, 'repo.json');
  if (existsSync(repository)) return repository;
  const templates = { debian: { image: 'plain', cloudInit: false }, 'debian-cloud-init': { image: 'cloud-init', cloudInit: true } };
  for (const { image, cloudInit } of Object.values(templates)) {
    const path = join(folder, `${image}.qcow2`);
    writeFileSync(`${path}.hash`, createHash('sha1').update(readFileSync(path)).digest('hex'));
    const metadata = { distro: 'debian12', arch: 'x86_64', 'root-partition': '/dev/sda2', 'cloud-init': cloudInit };
    writeFileSync(`${path}.metadata`, JSON.stringify(metadata));
  }
  const versions = (image: string): object => ({ versions: { '12': { source: 'here', handle: `${image}.qcow2`, timestamp: 1 } } });
  const content = {
    name: 'debian-guests',
    sources: { here: { type: 'file', args: { root: '.' } } },
    templates: Object.fromEntries(Object.entries(templates).map(([name, { image }]) => [name, versions(image)])),
  };
  writeFileSync(`${repository}.new`, JSON.stringify(content));
  renameSync(`${repository}.new`, repository);
  return repository;
}

const folder = join(cache, keyOf());
if (!existsSync(folder)) build(folder);
utimesSync(folder, new Date(), new Date());
evict();
const release = readdirSync(join(folder, 'kernel/lib/modules'))[0] ?? fail(`${folder} has no kernel: remove it.`);
mkdirSync(join(folder, 'appliance'), { recursive: true });
// Without an installed kernel this folder is missing, but libguestfs copies it whatever its settings.
mkdirSync('/lib/modules', { recursive: true });
const made = {
  repository: publish(folder),
  env: {
    SUPERMIN_KERNEL: join(folder, `kernel/vmlinuz-${release}`),
    SUPERMIN_KERNEL_VERSION: release,
    SUPERMIN_MODULES: join(folder, 'kernel/lib/modules', release),
    // libguestfs builds its appliance once; it is kept beside the guests.
    LIBGUESTFS_CACHEDIR: join(folder, 'appliance'),
  },
};
process.stdout.write(`${JSON.stringify(made)}\n`);
