import { mkdir, realpath, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/files/json-file.ts';
import { readStanza, type Stanza } from '../deb/stanzas.ts';
import { runMetadataTool } from './metadata-tool.ts';
import { NotAPackage, type PackageFile } from './package-file.ts';

/** How many files one run of the program reads: some MB of output. */
const BATCH = 1000;
const MAX_OUTPUT = 256 * 1024 * 1024;
const NO_CHECKSUMS = ['--no-md5', '--no-sha1', '--no-sha256', '--no-sha512'];

/**
 * Names and versions of Debian packages, in their order; a `NotAPackage` in place of a file that is none. By apt-ftparchive, which knows every
 * compression and reads thousands in one run, where dpkg-deb has to be started for each. `scratch` is a folder that is made for it and
 * removed. `host.missing-tool` without the program.
 */
export async function readDebs(
  paths: readonly string[],
  scratch: string,
  signal: AbortSignal | undefined,
): Promise<readonly (PackageFile | NotAPackage)[]> {
  const results: (PackageFile | NotAPackage)[] = [];
  for (let from = 0; from < paths.length; from += BATCH) {
    try {
      results.push(...(await readBatch(paths.slice(from, from + BATCH), scratch, signal)));
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }
  return results;
}

/** The program reads whole folders: one with links to the files, named by their places in the list. */
async function readBatch(
  paths: readonly string[],
  scratch: string,
  signal: AbortSignal | undefined,
): Promise<readonly (PackageFile | NotAPackage)[]> {
  const targets = await Promise.all(paths.map(async (path) => await realpath(path)));
  try {
    await mkdir(scratch);
    for (const [at, target] of targets.entries()) await symlink(target, join(scratch, `${at}.deb`));
  } catch (error) {
    throw diskError(error, scratch);
  }
  const what = 'The Debian packages could not be read.';
  const { stdout, stderr } = await runMetadataTool('apt-ftparchive', [...NO_CHECKSUMS, 'packages', '.'], what, {
    cwd: scratch,
    signal,
    maxOutput: MAX_OUTPUT,
  });
  const stanzas = stanzasByName(stdout);
  const failures = failuresByName(stderr);
  return await Promise.all(
    paths.map(async (path, at) => {
      // It names some by the link, some by what that leads to.
      const names = [`./${at}.deb`, targets[at] ?? ''];
      const stanza = names.map((name) => stanzas.get(name)).find((one) => one !== undefined);
      if (stanza !== undefined) return await packageOf(path, stanza);
      return new NotAPackage(names.map((name) => failures.get(name)).find((one) => one !== undefined) ?? 'it is damaged');
    }),
  );
}

function stanzasByName(text: string): ReadonlyMap<string, Stanza> {
  const stanzas = new Map<string, Stanza>();
  for (const paragraph of text.split('\n\n')) {
    const stanza = readControl(paragraph);
    const name = stanza?.fields.get('filename');
    if (stanza !== undefined && name !== undefined) stanzas.set(name, stanza);
  }
  return stanzas;
}

/** One package with a control file that is none does not keep the others from being read. */
function readControl(paragraph: string): Stanza | undefined {
  try {
    return readStanza(Buffer.from(paragraph), 'a package');
  } catch (error) {
    if (error instanceof EngineError && error.code === 'remote.invalid') return undefined;
    throw error;
  }
}

/** `E: REASON`, perhaps several times, and then `E: Errors apply to file './7.deb'`. */
function failuresByName(stderr: string): ReadonlyMap<string, string> {
  const failures = new Map<string, string>();
  let reason: string | undefined;
  for (const line of stderr.split('\n')) {
    const name = /^E: Errors apply to file '(.*)'$/.exec(line)?.[1];
    if (name === undefined) reason ??= /^[EW]: (.*)$/.exec(line)?.[1];
    else {
      if (reason !== undefined) failures.set(name, reason);
      reason = undefined;
    }
  }
  return failures;
}

async function packageOf(path: string, { fields }: Stanza): Promise<PackageFile | NotAPackage> {
  const [name, full, arch] = ['package', 'version', 'architecture'].map((field) => fields.get(field) ?? '');
  if (name === undefined || full === undefined || arch === undefined || name === '' || full === '' || arch === '')
    return new NotAPackage('it does not say its name, version and architecture');
  const [, epoch = '0', version = '', release = ''] = /^(?:(\d+):)?(.*?)(?:-([^-]*))?$/s.exec(full) ?? [];
  const { size } = await stat(path);
  return { kind: 'deb', path, size, name, version: { epoch: String(Number(epoch)), version, release }, arch };
}
