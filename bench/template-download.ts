import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, ftruncateSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { alternate, bundle, engineFile, makeScratch, runTimed, say, watchMemory } from './support/measure.ts';

/** Downloading a template from a server on loopback into the store, compared with the usual programs. */
export const title = 'download of a sparse 1 GiB template (xz) against "curl | xz -dT0 | tee >(sha1sum) > file"';
export const goal = 'ratio <= 1.1, memory <= 128';

const MIB = 1024 * 1024;
const SIZE = 1024 * MIB;
/** Bytes that are not zeros, in pieces spread over the image: about as many as in a minimal system. */
const DATA = 256 * MIB;
const PIECE = 4 * MIB;
const ROUNDS = 5;

/** Yields this machine's programs and libraries, which are typical content of images. */
function* content(): Generator<Buffer> {
  const folder = '/usr/lib/x86_64-linux-gnu';
  const files = readdirSync(folder)
    .filter((name) => name.includes('.so'))
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
  let rest = Buffer.alloc(0);
  for (;;) {
    for (const file of files) {
      rest = Buffer.concat([rest, readFileSync(file)]);
      for (; rest.length >= PIECE; rest = rest.subarray(PIECE)) yield rest.subarray(0, PIECE);
    }
  }
}

function makeImage(path: string): void {
  const file = openSync(path, 'w');
  ftruncateSync(file, SIZE);
  let at = 0;
  for (const piece of content()) {
    writeSync(file, piece, 0, piece.length, at);
    at += (PIECE * SIZE) / DATA;
    if (at >= SIZE) break;
  }
  closeSync(file);
}

export async function run(): Promise<Record<string, number>> {
  using scratch = makeScratch();
  const image = join(scratch.dir, 'image');
  say('  making the image');
  makeImage(image);
  await runTimed({ argv: ['xz', '-T0', '-1', '--keep', image] });
  const sha1 = createHash('sha1');
  for await (const chunk of createReadStream(image, { highWaterMark: MIB })) sha1.update(chunk as Buffer);
  const expected = sha1.digest('hex');
  rmSync(image);
  const packed = `${image}.xz`;
  const { size } = statSync(packed);
  say(`  ${Math.round(size / MIB)} MiB packed`);
  const server = createServer((request, response) => {
    if (request.url === '/image.hash') response.end(expected);
    else if (request.url === '/image.xz') {
      response.writeHead(200, { 'content-length': size, etag: '"1"' });
      createReadStream(packed, { highWaterMark: 256 * 1024 }).pipe(response);
    } else response.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/image`;

  async function reference(): Promise<number> {
    const file = join(scratch.dir, 'reference');
    const command = `curl -sS --noproxy '*' ${url}.xz | xz -dcT0 | tee >(sha1sum > ${file}.sha1) > ${file}; wait; sync ${file}`;
    const { ms } = await runTimed({ argv: ['bash', '-o', 'pipefail', '-c', command] });
    rmSync(file);
    return ms;
  }

  const argv = await bundle(
    scratch,
    `import { openStore } from ${engineFile('template/store.ts')};
const began = performance.now();
const { path } = await openStore(process.argv[2], { download: { env: {} } }).fetch({ repository: 'bench', template: 'image', version: '1', fullName: 'bench:image:1', timestamp: 1, url: process.argv[3], checksums: {} });
console.log(performance.now() - began, path);
`,
  );
  let peak = 0;
  async function ours(): Promise<number> {
    const store = join(scratch.dir, 'store');
    const child = spawn(argv[0] ?? '', [...argv.slice(1), store, url], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...scratch.env },
    });
    const memory = watchMemory(child);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const code = await new Promise((done) => child.on('close', done));
    if (code !== 0) throw new Error('The store did not fetch the image.');
    const stored = output.trim().split(' ').slice(1).join(' ');
    if (statSync(stored).size !== SIZE) throw new Error(`${stored} is not complete.`);
    peak = Math.max(peak, memory.peak());
    rmSync(store, { recursive: true });
    return Number(output.split(' ')[0]);
  }

  try {
    const figures = await alternate(ROUNDS, reference, ours);
    const mib = figures.ours === 0 ? 0 : SIZE / MIB / (figures.ours / 1000);
    return {
      ratio: figures.ratio,
      memory: Math.round(peak / 1024),
      ours_ms: Math.round(figures.ours),
      reference_ms: Math.round(figures.reference),
      mib_per_second: Math.round(mib),
    };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
