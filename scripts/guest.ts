import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Builds the sample guest (`npm run guest`) in `.cache/guest` and creates the template repository `.cache/templates/repo.json`, whose
 * template `lago-sample` is this guest. The image is kept under a hash of its recipe and of the kernel package's version, so a second
 * call only checks. Packages are downloaded with `apt-get download`; nothing is installed. Prints one line; exits with 3 when this
 * machine cannot build it.
 */
const checkout = resolve(fileURLToPath(import.meta.url), '../..');
const recipe = join(checkout, 'resources/guest');
const cache = join(checkout, '.cache/guest');
const templates = join(checkout, '.cache/templates');
const imageName = 'lago-sample.qcow2';

interface Build {
  readonly key: string;
  readonly kernel: string;
  readonly image: string;
  readonly sha1: string;
  readonly size: number;
  /** Seconds since the epoch. */
  readonly builtAt: number;
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(3);
}

function hashRecipe(): string {
  const hash = createHash('sha256');
  const files = readdirSync(recipe, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const names = files.map((entry) => relative(recipe, join(entry.parentPath, entry.name))).sort();
  for (const name of names)
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(recipe, name)))
      .update('\0');
  return hash.digest('hex').slice(0, 12);
}

/** Version of the kernel that apt would download now; undefined without apt or its lists. */
function kernelVersion(): string | undefined {
  const { stdout } = spawnSync('apt-cache', ['show', '--no-all-versions', 'linux-image-cloud-amd64'], { encoding: 'utf8' });
  return /^Version: (.+)$/m.exec(stdout ?? '')?.[1];
}

function readBuild(folder: string): Build | undefined {
  const file = join(folder, 'build.json');
  if (!existsSync(file) || !existsSync(join(folder, imageName))) return undefined;
  return JSON.parse(readFileSync(file, 'utf8')) as Build;
}

/** The newest kept build of this recipe, for machines without a working apt. */
function anyBuild(recipeHash: string): Build | undefined {
  if (!existsSync(cache)) return undefined;
  return readdirSync(cache)
    .filter((name) => name.startsWith(`${recipeHash}-`))
    .map((name) => readBuild(join(cache, name)))
    .filter((build) => build !== undefined)
    .sort((a, b) => b.builtAt - a.builtAt)[0];
}

function build(key: string): Build {
  const folder = join(cache, key);
  const working = `${folder}.${randomBytes(4).toString('hex')}`;
  mkdirSync(working, { recursive: true });
  try {
    const image = join(working, imageName);
    const { status, stdout, stderr } = spawnSync(join(recipe, 'build.sh'), [image], {
      encoding: 'utf8',
      env: { ...process.env, WORK: join(cache, 'packages') },
    });
    if (status !== 0) {
      rmSync(working, { recursive: true, force: true });
      fail(
        `The sample guest could not be built.\n${stderr.trim()}\n` +
          'Build it on a Debian machine or in a Debian container (apt-get update, then npm run guest), and copy .cache/guest and ' +
          '.cache/templates from there into this checkout.',
      );
    }
    const bytes = readFileSync(image);
    const made: Build = {
      key,
      kernel: stdout.trim().split('\n').at(-1) ?? '',
      image: join(folder, imageName),
      sha1: createHash('sha1').update(bytes).digest('hex'),
      size: bytes.length,
      builtAt: Math.floor(Date.now() / 1000),
    };
    writeFileSync(join(working, 'build.json'), JSON.stringify(made, null, 2));
    const other = readBuild(folder);
    if (other !== undefined) return other; // another process built it at the same time; the bytes are the same
    rmSync(folder, { recursive: true, force: true });
    renameSync(working, folder);
    for (const name of readdirSync(cache)) {
      if (/^[0-9a-f]{12}-/.test(name) && !name.startsWith(key)) rmSync(join(cache, name), { recursive: true, force: true });
    }
    return made;
  } finally {
    rmSync(working, { recursive: true, force: true });
  }
}

function publish(made: Build): void {
  mkdirSync(templates, { recursive: true });
  const handle = `lago-sample-${made.key}.qcow2`;
  const repository = {
    name: 'lago',
    sources: { local: { type: 'file', args: { root: '.' } } },
    templates: {
      'lago-sample': { versions: { [made.key]: { source: 'local', handle, timestamp: made.builtAt } } },
    },
  };
  const metadata = {
    name: 'lago-sample',
    version: made.key,
    distro: 'lago-sample',
    arch: 'x86_64',
    'root-partition': '/dev/vda2',
    'cloud-init': true,
    kernel: made.kernel,
    size: made.size,
    sha1: made.sha1,
  };
  const put = (name: string, content: string): void => {
    const path = join(templates, name);
    if (existsSync(path) && readFileSync(path, 'utf8') === content) return;
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, content);
    renameSync(temporary, path);
  };
  const image = join(templates, handle);
  if (!existsSync(image) || statSync(image).size !== made.size) {
    for (const name of readdirSync(templates)) {
      if (name.startsWith('lago-sample-') && !name.startsWith(handle)) rmSync(join(templates, name));
    }
    const temporary = `${image}.${process.pid}`;
    writeFileSync(temporary, readFileSync(join(cache, made.key, imageName)));
    renameSync(temporary, image);
  }
  put(`${handle}.hash`, made.sha1);
  put(`${handle}.metadata`, JSON.stringify(metadata, null, 4));
  put('repo.json', JSON.stringify(repository, null, 4));
}

const recipeHash = hashRecipe();
const version = kernelVersion();
const kept = version === undefined ? anyBuild(recipeHash) : readBuild(join(cache, `${recipeHash}-${version}`));
if (kept === undefined && version === undefined) {
  fail(
    'The sample guest is made of Debian packages, and apt does not know linux-image-cloud-amd64 here. On Debian run apt-get update ' +
      'first; elsewhere build it in a Debian container and copy .cache/guest and .cache/templates from there into this checkout.',
  );
}
const made = kept ?? build(`${recipeHash}-${version}`);
publish(made);
process.stdout.write(
  `${kept === undefined ? 'Built' : 'Kept'} ${relative(process.cwd(), join(templates, 'repo.json'))}: lago-sample ${made.key}, ${(made.size / 1048576).toFixed(1)} MiB\n`,
);
