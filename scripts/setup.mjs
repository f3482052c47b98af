// Prepares the checkout for running the window, the command line and the tests. Fast when nothing is to be done.
// Uses nothing but Node until the npm packages are installed.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureRuntime } from './electron-runtime.mjs';
import { ensureAptLists, ensurePackages } from './packages.mjs';
import { must, root, StepError, script, step } from './steps.mjs';

const MIN_NODE = [20, 18];
const BUILD_STAMP = path.join(root, 'out', '.sources');
const SAMPLE = path.join(root, '.cache/templates/repo.json');
const SAMPLE_STAMP = path.join(root, '.cache/templates/.recipe');
/** Inputs of the build. */
const SOURCES = [
  'src-main',
  'src-shared',
  'src-renderer',
  'electron.vite.config.ts',
  'package.json',
  'package-lock.json',
  'scripts/bundle-cli.ts',
  'scripts/cli-program.ts',
];
/** `npm start` does not need the SDK; tests and `npm run build` build it. */
const SDK_STAMP = path.join(root, 'out', 'sdk', '.sources');
const SDK_SOURCES = ['src-main', 'src-shared', 'package.json', 'package-lock.json', 'scripts/bundle-sdk.ts', 'tsconfig.sdk.json'];

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
    throw new StepError(`Node.js ${process.versions.node} is too old.`, `Install Node.js ${MIN_NODE.join('.')} or newer.`);
  }
  return process.versions.node;
}

function readJson(file) {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined;
}

/** Whether node_modules matches package-lock.json (except packages for other systems). */
function modulesFit() {
  const wanted = readJson(path.join(root, 'package-lock.json')).packages;
  const present = readJson(path.join(root, 'node_modules', '.package-lock.json'))?.packages;
  if (present === undefined) return false;
  for (const [where, entry] of Object.entries(wanted)) {
    if (where === '') continue;
    const have = present[where];
    if (have === undefined ? entry.optional !== true && entry.devOptional !== true : have.version !== entry.version) return false;
  }
  return true;
}

async function ensureModules() {
  const fits = modulesFit();
  if (!fits) {
    await must(['npm', 'ci', '--no-audit', '--no-fund', '--ignore-scripts'], {
      env: { ...process.env, PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD: '1' },
      hint: 'Check the network and the npm registry setting, then start again.',
      what: 'npm ci',
    });
  }
  // npm links only the programs of dependencies; these links make `npx lago` work in the checkout.
  for (const name of ['lago', 'lagocli']) {
    const link = path.join(root, 'node_modules', '.bin', name);
    if (fs.lstatSync(link, { throwIfNoEntry: false }) === undefined) fs.symlinkSync('../../out/cli/lago.cjs', link);
  }
  return fits ? 'as in package-lock.json' : 'installed';
}

function* filesUnder(file) {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isDirectory()) {
    yield file;
    return;
  }
  for (const name of fs.readdirSync(file).sort()) yield* filesUnder(path.join(file, name));
}

/** A digest of files and of everything below folders, except tests. */
function digestOf(sources) {
  const hash = createHash('sha256');
  for (const source of sources) {
    for (const file of filesUnder(path.join(root, source))) {
      if (/\.test\.tsx?$/.test(file)) continue;
      hash
        .update(`${path.relative(root, file)}\0`)
        .update(fs.readFileSync(file))
        .update('\0');
    }
  }
  return hash.digest('hex');
}

/** Builds the window and the command line when a source changed since the last build. */
async function ensureBuild() {
  const digest = digestOf(SOURCES);
  if (fs.existsSync(BUILD_STAMP) && fs.readFileSync(BUILD_STAMP, 'utf8') === digest) return 'up to date';
  fs.rmSync(path.join(root, 'out'), { recursive: true, force: true });
  const hint = 'The sources do not build; the lines above say where.';
  await must([process.execPath, path.join(root, 'node_modules/electron-vite/bin/electron-vite.js'), 'build', '--logLevel', 'error'], {
    hint,
    what: 'Building the window',
  });
  await must(typescript('scripts/bundle-cli.ts'), { hint, what: 'Building the command line' });
  fs.chmodSync(path.join(root, 'out/cli/lago.cjs'), 0o755);
  fs.writeFileSync(BUILD_STAMP, digest);
  return 'built';
}

/** Builds the SDK with its types when a source changed since the last build. */
async function ensureSdk() {
  const digest = digestOf(SDK_SOURCES);
  if (fs.existsSync(SDK_STAMP) && fs.readFileSync(SDK_STAMP, 'utf8') === digest) return 'up to date';
  const hint = 'The sources do not build; the lines above say where.';
  await must(typescript('scripts/bundle-sdk.ts'), { hint, what: 'Building the SDK' });
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
  await must([process.execPath, compiler, '-p', 'tsconfig.sdk.json'], { hint, what: 'Writing the types of the SDK' });
  fs.writeFileSync(SDK_STAMP, digest);
  return 'built';
}

/** Builds the samples' guest when its recipe changed; unlike `npm run guest`, ignores newer kernels. */
async function ensureSample() {
  const digest = digestOf(['resources/guest', 'scripts/guest.ts']);
  if (fs.existsSync(SAMPLE_STAMP) && fs.readFileSync(SAMPLE_STAMP, 'utf8') === digest && fs.existsSync(SAMPLE)) return 'up to date';
  await ensureAptLists();
  const hint = 'The lines above say what is missing; then start again.';
  const said = await must(typescript('scripts/guest.ts'), { hint, what: 'Building the sample guest', quiet: true });
  fs.writeFileSync(SAMPLE_STAMP, digest);
  return said.trim();
}

/** Command line that runs a TypeScript file of the project. */
export function typescript(file, ...args) {
  return [process.execPath, '--import', './scripts/typescript.mjs', file, ...args];
}

/**
 * Sets up everything that the window needs. Returns the Electron to run it with.
 * @param {{ tests?: boolean, display: boolean }} purpose `display`: whether a screen is present
 */
export async function setUp({ tests = false, display }) {
  let runtime = { dist: '', version: '' };
  await step('Node.js', async () => checkNode());
  await step('System packages', async () => await ensurePackages({ tests, display }));
  await step('npm packages', ensureModules);
  await step('Electron', async () => {
    runtime = await ensureRuntime();
    return runtime.version;
  });
  await step('Build', ensureBuild);
  if (tests) await step('SDK', ensureSdk);
  await step('Sample template', ensureSample);
  return runtime;
}

/** Whether this session has a screen. */
export function hasDisplay() {
  return Boolean(process.env['DISPLAY'] || process.env['WAYLAND_DISPLAY']);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await script(async () => {
    await setUp({ display: hasDisplay() });
    return 0;
  });
}
