// memory-sink.cjs SOCKET FILE [SOCKET FILE]...
//
// QEMU writes the memory of VMs to these unix sockets, one connection each, while the VMs run; the bytes go to the new files. A process of
// its own, because QEMU must be able to write to the end whatever happens to us: when the other end of a background snapshot vanishes in the
// middle, QEMU 7.2 locks up for ever if one of its threads holds its main lock and waits for a page to be written. So this process outlives
// the one that started it, and when a file cannot be written it reports that and takes the rest all the same. Should it be killed itself,
// the shells that copy for it go on. Only a VM whose QEMU has connected, but that has no shell yet, is lost then: some milliseconds.
//
// A shell copies with `cat`, which needs half of the time that this process would: QEMU writes page by page.
//
// It tells on stdout, as lines of JSON: {"listening":true}, then {"sink":0,"bytes":4096} now and then, and for each sink at last
// {"sink":0,"done":4096} or {"sink":0,"error":"ENOSPC"}. It ends when all are done; or, once its stdin has ended, as soon as nobody is
// connected.
'use strict';
const { spawn } = require('node:child_process');
const { closeSync, openSync, rmSync, statSync } = require('node:fs');
const { createServer } = require('node:net');
const { getSystemErrorMap } = require('node:util');

const PROGRESS_MS = 100;
/** A connection that QEMU was told to open a moment before stdin ended. */
const GRACE_MS = 3000;

process.umask(0o077);
process.stdout.on('error', () => {});
process.stdin.on('error', () => {});
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM']) process.on(signal, () => {});

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const words = process.argv.slice(2);
const sinks = Array.from({ length: words.length / 2 }, (_, index) => ({ socket: words[2 * index], file: words[2 * index + 1] }));
let left = sinks.length;
let connected = 0;
let listening = 0;
let alone = false;

function inodeOf(path) {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

function leaveIfNothingToDo() {
  if (left > 0 && !(alone && connected === 0)) return;
  // Another process may have its own socket there by now: that of the next snapshot, while this one waited for nobody.
  for (const { socket, inode } of sinks) if (inode !== undefined && inodeOf(socket) === inode) rmSync(socket, { force: true });
  process.exit(0);
}

/** What cannot be written is taken by the shell itself, whether this process is still there or not. */
const SCRIPT = 'cat && exit; cat >/dev/null; exit 1';

// Resolves with undefined when all that came is written, else with what is wrong: the name of a system error, or a sentence.
function copy(connection, output) {
  const shell = spawn('sh', ['-c', SCRIPT], { stdio: [connection, output, 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
  let stderr = '';
  shell.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve) => {
    shell.on('error', (error) => resolve(error.message));
    shell.on('close', (code) => {
      const what = stderr.trim().split(': ').at(-1) ?? '';
      const known = [...getSystemErrorMap().values()].find(([, message]) => message === what.toLowerCase());
      resolve(code === 0 ? undefined : (known?.[0] ?? (what || 'the copying was ended')));
    });
  });
}

// The same for a new file of that path.
async function copyInto(connection, file) {
  let output;
  try {
    output = openSync(file, 'wx', 0o600);
  } catch (error) {
    return error.code ?? error.message;
  }
  try {
    return await copy(connection, output);
  } finally {
    closeSync(output);
  }
}

const sizeOf = (file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

sinks.forEach((place, sink) => {
  const { socket, file } = place;
  let taken = false;
  const server = createServer({ pauseOnConnect: true }, async (connection) => {
    if (taken) return connection.destroy();
    taken = true;
    connected++;
    server.close();
    const progress = setInterval(() => tell({ sink, bytes: sizeOf(file) }), PROGRESS_MS);
    const failure = await copyInto(connection, file);
    clearInterval(progress);
    // Where there is no file, or the shell was ended.
    if (failure !== undefined) await copy(connection, 'ignore');
    connection.destroy();
    tell(failure === undefined ? { sink, done: sizeOf(file) } : { sink, error: failure });
    connected--;
    left--;
    // The last line is to arrive.
    setImmediate(leaveIfNothingToDo);
  });
  server.on('error', (error) => {
    process.stderr.write(error.message);
    process.exit(1);
  });
  rmSync(socket, { force: true });
  server.listen(socket, () => {
    place.inode = inodeOf(socket);
    if (++listening === sinks.length) tell({ listening: true });
  });
});

process.stdin.resume();
process.stdin.on('close', () => {
  setTimeout(() => {
    alone = true;
    leaveIfNothingToDo();
    setInterval(leaveIfNothingToDo, PROGRESS_MS);
  }, GRACE_MS);
});
