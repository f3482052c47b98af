// repo-server.cjs '{"folder","address","port","log","logLimit","vms":{ADDRESS: NAME},"notice":{"path","by"}}'
// repo-server.cjs '{"end": NOTICE}'
//
// Serves the files of a folder by HTTP, to read: packages and their metadata. It runs where the guests' networks are, as a process of its
// own: there it knows which guest asks, and the bytes take the shortest way.
//
// Nothing outside of the folder is served, whatever links and names lead there, and no name that begins with a dot. A file that is replaced
// meanwhile is served as it was when it was opened.
//
// It tells on stdout, as a line of JSON, {"listening":{"address","port"}} or {"error":"EADDRINUSE"}, which is its end. Each request becomes
// a line of JSON in `log`, which is renamed to `log`.0 when it has grown to `logLimit` bytes. While it serves there is
// the file `notice.path`, with JSON: what it serves and where, `notice.by`, and the pid, start time and boot of this process, a name that no
// other one ever has. By that file, with "end", the process that wrote it is ended.
'use strict';
const fs = require('node:fs');
const { createServer } = require('node:http');
const { extname } = require('node:path');

const SERVER = 'lago-repo';
/** Whoever only looks whether it is there. */
const PROBE = 'lago-probe';
const LOG_LIMIT = 4 * 1024 * 1024;
const LOG_EVERY_MS = 50;
/** Up to this size a file is read at once: that takes less time than the way to another thread. */
const SMALL = 64 * 1024;
const MAX_SPARE = 64;
const CHUNK = 256 * 1024;
const MAX_CONNECTIONS = 1000;
/** A guest that takes nothing for so long is gone. */
const IDLE_MS = 120_000;
const MAX_ENTRIES = 20_000;
const LOGGED_PATH = 1000;

const TYPES = new Map([
  ['.rpm', 'application/x-rpm'],
  ['.drpm', 'application/x-rpm'],
  ['.deb', 'application/vnd.debian.binary-package'],
  ['.udeb', 'application/vnd.debian.binary-package'],
  ['.xml', 'application/xml'],
  ['.gz', 'application/gzip'],
  ['.xz', 'application/x-xz'],
  ['.bz2', 'application/x-bzip2'],
  ['.zst', 'application/zstd'],
  ['.zck', 'application/zchunk'],
  ['.sqlite', 'application/vnd.sqlite3'],
  ['.json', 'application/json'],
  ['.yaml', 'application/yaml'],
  ['.html', 'text/html; charset=utf-8'],
  ['.iso', 'application/x-iso9660-image'],
  ...['.txt', '.repo', '.list', '.sources', '.asc', '.key', '.gpg'].map((name) => [name, 'text/plain; charset=utf-8']),
]);
/** The indexes of apt have no extension. */
const TEXTS = new Set(['Release', 'InRelease', 'Packages', 'Sources']);

function typeOf(name) {
  if (TEXTS.has(name)) return 'text/plain; charset=utf-8';
  return TYPES.get(extname(name).toLowerCase()) ?? 'application/octet-stream';
}

/** The names on the way to what is asked for, the last one empty for a folder; undefined for what cannot be in the folder. */
function namesOf(url) {
  const path = url.replace(/^https?:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '');
  if (!path.startsWith('/')) return undefined;
  const parts = path.slice(1).split('/');
  const names = [];
  for (const [index, part] of parts.entries()) {
    let name;
    try {
      name = decodeURIComponent(part);
    } catch {
      return undefined;
    }
    // apt asks for ADDRESS/./Packages.
    if (name === '.') name = '';
    if (name.startsWith('.') || /[/\0]/.test(name)) return undefined;
    if (name !== '' || index === parts.length - 1) names.push(name);
  }
  return names;
}

const GONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EACCES', 'EPERM', 'ENXIO']);

/** Opens what a path leads to, if that is in the folder: the open file itself tells where it is, so that no link can change meanwhile. */
function openIn(root, path) {
  let fd;
  try {
    // Opening a pipe must not wait for its other end.
    fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    if (GONE.has(error.code)) return undefined;
    throw error;
  }
  try {
    const place = fs.readlinkSync(`/proc/self/fd/${fd}`);
    const found = fs.fstatSync(fd);
    const inside = place === root || place.startsWith(root === '/' ? root : `${root}/`);
    if (inside && (found.isFile() || found.isDirectory())) return { fd, found };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  fs.closeSync(fd);
  return undefined;
}

function rootOf(folder) {
  try {
    return fs.realpathSync.native(folder);
  } catch (error) {
    // Nothing has been merged yet.
    if (GONE.has(error.code)) return undefined;
    throw error;
  }
}

function tagOf(found) {
  return `"${found.ino.toString(16)}-${found.size.toString(16)}-${Math.round(found.mtimeMs * 1000).toString(16)}"`;
}

const seconds = (ms) => Math.floor(ms / 1000);

/** Whether the client has this content already. */
function isKnown(headers, found, tag) {
  const tags = headers['if-none-match'];
  if (tags !== undefined) return tags.split(',').some((one) => ['*', tag].includes(one.trim().replace(/^W\//, '')));
  const since = Date.parse(headers['if-modified-since'] ?? '');
  return !Number.isNaN(since) && seconds(found.mtimeMs) <= seconds(since);
}

/** What of a file is asked for: undefined for all of it, `null` for a part that it does not have. Several parts at once are given as all. */
function partOf(headers, found, tag) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return undefined;
  const condition = headers['if-range'];
  if (condition !== undefined && condition !== tag && Date.parse(condition) !== seconds(found.mtimeMs) * 1000) return undefined;
  const [, first, last] = match;
  if (first === '') {
    const length = Math.min(Number(last), found.size);
    return length === 0 ? null : { start: found.size - length, end: found.size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? found.size - 1 : Math.min(Number(last), found.size - 1);
  // An end before the beginning is no range, which is as if nothing was asked for.
  if (last !== '' && Number(last) < start) return undefined;
  return start >= found.size ? null : { start, end };
}

/** Bytes of answers' bodies, for the log. */
const sent = new WeakMap();

function count(response, buffer) {
  sent.set(response, (sent.get(response) ?? 0) + buffer.length);
  return buffer;
}

const endWith = (response, buffer) => response.end(count(response, buffer));

function answer(response, status, text, headers = {}) {
  const body = Buffer.from(text);
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': body.length, ...headers });
  if (response.req.method === 'HEAD') response.end();
  else endWith(response, body);
}

const notFound = (response) => answer(response, 404, 'There is no such file here.\n');

function read(fd, buffer, length, position) {
  return new Promise((resolve, reject) => {
    fs.read(fd, buffer, 0, length, position, (error, done) => (error === null ? resolve(done) : reject(error)));
  });
}

/**
 * Writes a part of an open file, as fast as the client takes it: one buffer is filled while the other one is being sent. They are used again
 * and again, since the kernel clears every page that it gives to a process.
 */
async function send(response, fd, start, size) {
  const gone = new Promise((resolve) => response.on('close', resolve));
  const turns = [0, 1].map(() => ({ buffer: Buffer.allocUnsafeSlow(Math.min(CHUNK, size)), sent: Promise.resolve() }));
  const end = start + size;
  let position = start;
  for (let turn = 0; position < end; turn = 1 - turn) {
    const { buffer, sent: before } = turns[turn];
    await Promise.race([before, gone]);
    if (response.destroyed) return;
    const length = await read(fd, buffer, Math.min(buffer.length, end - position), position);
    // Cut off meanwhile: the client has to see that something is missing.
    if (length === 0) return response.destroy();
    position += length;
    const part = count(response, buffer.subarray(0, length));
    turns[turn].sent = new Promise((resolve) => response.write(part, resolve));
  }
  response.end();
}

/** Buffers for small files, used again: getting rid of them would take more time than filling them. */
const spare = [];

function sendSmall(response, fd, start, size) {
  const whole = spare.pop() ?? Buffer.allocUnsafeSlow(SMALL);
  const buffer = whole.subarray(0, size);
  let length = 0;
  while (length < size) {
    const more = fs.readSync(fd, buffer, length, size - length, start + length);
    if (more === 0) return response.destroy();
    length += more;
  }
  response.on('finish', () => {
    if (spare.length < MAX_SPARE) spare.push(whole);
  });
  endWith(response, buffer);
}

async function sendFile(request, response, { fd, found }, name) {
  const tag = tagOf(found);
  const headers = { ETag: tag, 'Last-Modified': new Date(found.mtimeMs).toUTCString(), 'Accept-Ranges': 'bytes' };
  if (isKnown(request.headers, found, tag)) {
    response.writeHead(304, headers);
    response.end();
    return;
  }
  const part = partOf(request.headers, found, tag);
  if (part === null) {
    answer(response, 416, `This file has ${found.size} bytes.\n`, { 'Content-Range': `bytes */${found.size}` });
    return;
  }
  const start = part?.start ?? 0;
  const length = part === undefined ? found.size : part.end - part.start + 1;
  headers['Content-Type'] = typeOf(name);
  headers['Content-Length'] = length;
  if (part !== undefined) headers['Content-Range'] = `bytes ${part.start}-${part.end}/${found.size}`;
  response.writeHead(part === undefined ? 200 : 206, headers);
  if (request.method === 'HEAD' || length === 0) response.end();
  else if (length <= SMALL) sendSmall(response, fd, start, length);
  else await send(response, fd, start, length);
}

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const inHtml = (text) => text.replace(/[&<>"']/g, (character) => ENTITIES[character]);

/** What can be fetched from a folder. A link counts as what it leads to. */
function listing(root, path, title) {
  const names = fs.readdirSync(path).filter((name) => !name.startsWith('.'));
  const lines = names
    .sort()
    .slice(0, MAX_ENTRIES)
    .flatMap((name) => {
      const opened = openIn(root, `${path}/${name}`);
      if (opened === undefined) return [];
      fs.closeSync(opened.fd);
      const folder = opened.found.isDirectory();
      const shown = folder ? `${name}/` : name;
      const size = folder ? '' : ` ${opened.found.size}`;
      // `./` because a name may look like the scheme of an address.
      return [`<li><a href="./${encodeURIComponent(name)}${folder ? '/' : ''}">${inHtml(shown)}</a>${size}</li>\n`];
    });
  const heading = inHtml(title);
  return `<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>${heading}</title></head><body><h1>${heading}</h1><ul>\n${lines.join('')}</ul></body></html>\n`;
}

async function serve(folder, request, response) {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    answer(response, 405, 'Files can only be read here.\n', { Allow: 'GET, HEAD', Connection: 'close' });
    return;
  }
  const names = namesOf(request.url);
  const root = rootOf(folder);
  if (names === undefined || root === undefined) return notFound(response);
  const isFolder = names.at(-1) === '';
  const path = [root, ...names.filter((name) => name !== '')].join('/');
  const opened = openIn(root, path);
  if (opened === undefined) return notFound(response);
  try {
    if (!opened.found.isDirectory()) {
      if (isFolder) return notFound(response);
      await sendFile(request, response, opened, names.at(-1));
    } else if (isFolder) {
      // By its descriptor: the same folder, whatever has the name by now.
      const text = listing(root, `/proc/self/fd/${opened.fd}`, `/${names.join('/')}`);
      answer(response, 200, text, { 'Content-Type': 'text/html; charset=utf-8' });
    } else {
      const there = `/${names.map(encodeURIComponent).join('/')}/`;
      answer(response, 301, `It is at ${there}\n`, { Location: there });
    }
  } finally {
    fs.closeSync(opened.fd);
  }
}

/** Appends lines to the log a moment later, many at once. */
function openLog(path, limit) {
  let lines = [];
  let timer;
  let broken = false;
  function flush() {
    clearTimeout(timer);
    timer = undefined;
    if (lines.length === 0) return;
    const text = lines.join('');
    lines = [];
    try {
      const size = fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      if (size > 0 && size + text.length > limit) fs.renameSync(path, `${path}.0`);
      fs.appendFileSync(path, text);
      broken = false;
    } catch (error) {
      // A full disk is no reason not to serve; it is told once.
      if (!broken) process.stderr.write(`The log ${path} cannot be written: ${error.message}\n`);
      broken = true;
    }
  }
  return {
    add(line) {
      lines.push(`${JSON.stringify(line)}\n`);
      timer ??= setTimeout(flush, LOG_EVERY_MS);
    },
    flush,
  };
}

/** What no other process ever has; undefined where there is none. */
function identityOf(pid) {
  let stat;
  try {
    stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined;
    throw error;
  }
  const startTime = stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[19];
  return { pid, startTime, boot: fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() };
}

function writeNotice(path, facts) {
  fs.writeFileSync(`${path}.new`, JSON.stringify({ ...facts, ...identityOf(process.pid) }));
  fs.renameSync(`${path}.new`, path);
}

/** Ends the process that has written a notice, if that is still the one with its pid. */
function end(path) {
  const { pid, startTime, boot } = JSON.parse(fs.readFileSync(path, 'utf8'));
  const present = identityOf(pid);
  if (present?.startTime === startTime && present.boot === boot) process.kill(pid, 'SIGTERM');
}

function begin({ folder, address, port, log: logPath, logLimit = LOG_LIMIT, vms = {}, notice }) {
  const log = openLog(logPath, logLimit);
  const server = createServer({ noDelay: true, keepAliveTimeout: 60_000 }, (request, response) => {
    const began = process.hrtime.bigint();
    const client = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    response.setHeader('Server', SERVER);
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.on('close', () => {
      if (client === address && request.headers['user-agent'] === PROBE) return;
      log.add({
        time: new Date().toISOString(),
        client,
        vm: vms[client] ?? null,
        method: request.method,
        path: request.url.slice(0, LOGGED_PATH),
        status: response.statusCode,
        bytes: sent.get(response) ?? 0,
        range: request.headers.range?.slice(0, LOGGED_PATH) ?? null,
        milliseconds: Number((process.hrtime.bigint() - began) / 1000n) / 1000,
      });
    });
    serve(folder, request, response).catch((error) => {
      process.stderr.write(`${request.url}: ${error.message}\n`);
      if (response.headersSent) response.destroy();
      else answer(response, 500, 'This file cannot be read.\n');
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(IDLE_MS);
  server.on('error', (error) => {
    fs.writeSync(1, `${JSON.stringify({ error: error.code ?? error.message })}\n`);
    process.exit(1);
  });
  server.listen({ host: address, port }, () => {
    if (notice !== undefined) writeNotice(notice.path, { address, port: server.address().port, folder, by: notice.by });
    fs.writeSync(1, `${JSON.stringify({ listening: { address, port: server.address().port } })}\n`);
  });
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM']) {
    process.on(signal, () => {
      log.flush();
      if (notice !== undefined) fs.rmSync(notice.path, { force: true });
      process.exit(0);
    });
  }
}

const wanted = JSON.parse(process.argv[2]);
if (wanted.end === undefined) begin(wanted);
else end(wanted.end);
