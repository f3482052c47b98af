import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const LAUNCHER = fileURLToPath(new URL('../src-main/cli/launcher.ts', import.meta.url));

/**
 * Has a part of the program (CommonJS by esbuild) load what it imports when that is first used. Our modules do nothing when loaded, so
 * that nobody sees the difference, and a verb does not pay for what only its neighbours need.
 */
export function loadedWhenUsed(code: string): string {
  const imports = [...code.matchAll(/\b(import_\w+)=require\(("[^"]+")\)/g)];
  return imports.reduce(
    (text, [statement, variable = '', name]) =>
      text
        .replaceAll(new RegExp(`(?<![\\w$])${variable}(?![\\w$=])`, 'g'), `(${variable}())`)
        .replace(statement, `${variable}=requireLater(${name})`),
    code,
  );
}

/** Writes a program of parts, CommonJS modules in ASCII of which `./main.js` is the first, as a launcher and the file of its parts. */
export async function writeProgram(launcher: string, parts: Readonly<Record<string, string>>): Promise<void> {
  const all = Buffer.from(Object.values(parts).join(''), 'latin1');
  const prefix = `${basename(launcher, '.cjs')}-`;
  // Of the launcher too, which puts each part into a function: what is kept of another program must never be taken for this one's.
  const hash = createHash('sha256').update(readFileSync(LAUNCHER)).update(JSON.stringify(parts)).digest('hex');
  const partsFile = `${prefix}${hash.slice(0, 16)}.parts`;
  const places: Record<string, readonly [number, number]> = {};
  let offset = 0;
  for (const [name, code] of Object.entries(parts)) {
    places[name] = [offset, code.length];
    offset += code.length;
  }
  const { outputFiles } = await build({
    entryPoints: [LAUNCHER],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20.18',
    format: 'cjs',
    banner: { js: '#!/usr/bin/env node' },
    define: { PARTS: JSON.stringify(places), PARTS_FILE: JSON.stringify(partsFile) },
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: 'warning',
  });
  const folder = dirname(launcher);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, partsFile), all);
  // Whole at once: a command that starts while this runs sees the old or the new program.
  const temporary = `${launcher}.${process.pid}.tmp`;
  writeFileSync(temporary, outputFiles[0]?.contents ?? '');
  chmodSync(temporary, 0o755);
  renameSync(temporary, launcher);
  for (const name of readdirSync(folder)) {
    if (name.startsWith(prefix) && name.endsWith('.parts') && name !== partsFile) rmSync(join(folder, name));
  }
}
