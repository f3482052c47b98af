// memory-sink.cjs SOCKET FILE [SOCKET FILE]...
//
// QEMU writes the memory of VMs to these unix sockets, one connection each, while the VMs run; the bytes go to the new files. A process of
// its own, because QEMU must be able to write to the end whatever happens to us: when the other end of a background snapshot vanishes in the
// middle, QEMU 7.2 locks up for ever if one of its threads holds its main lock and waits for a page to be written. So this process outlives
// the one that started it, and when a file cannot be written it reports that and takes the rest all the same. Should it be killed itself,
// a shell that has the connection too takes the rest.
//
// It tells on stdout, as lines of JSON: {"listening":true}, then {"sink":0,"bytes":4096} now and then, and for each sink at last
// {"sink":0,"done":4096} or {"sink":0,"error":"ENOSPC"}. It ends when all are done; or, once its stdin has ended, as soon as nobody is
// connected.
'use strict';
const { spawn } = require('node:child_process');
const { createWriteStream, rmSync, statSync } = require('node:fs');
const { createServer } = require('node:net');

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

/** Reads a connection to its end, into nothing, once this process is gone. Reading what is not there yet ends cat, not the shell. */
function guard(connection) {
  const script = 'cat >/dev/null; until cat <&3 >/dev/null 2>&1; do sleep 0.02; done';
  const shell = spawn('sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore', connection] });
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  shell.stdin.unref();
}

function inodeOf(path) {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

function leaveIfNothingToDo() {
  if (left > 0 && !(alone && connected === 0)) return;
  // Another process may have its own socket there by now: that of the next snapshot, while this one waited for nobody.
  for (const { socket, inode } of sinks) if (inode !== undefined && inodeOf(socket) === inode) rmSync(socket, { force: true });
  process.exit(0);
}

sinks.forEach((place, sink) => {
  const { socket, file } = place;
  let taken = false;
  const server = createServer((connection) => {
    if (taken) return connection.destroy();
    taken = true;
    connected++;
    server.close();
    guard(connection);
    const output = createWriteStream(file, { flags: 'wx', mode: 0o600, highWaterMark: 1 << 20 });
    let failure;
    const progress = setInterval(() => tell({ sink, bytes: connection.bytesRead }), PROGRESS_MS);
    const end = () => {
      clearInterval(progress);
      tell(failure === undefined ? { sink, done: connection.bytesRead } : { sink, error: failure });
      connected--;
      left--;
      // The last line is to arrive.
      setImmediate(leaveIfNothingToDo);
    };
    output.on('error', (error) => {
      failure ??= error.code ?? error.message;
      connection.unpipe(output);
      connection.resume();
      if (connection.readableEnded) end();
      else connection.once('close', end);
    });
    output.on('close', () => {
      if (failure === undefined) end();
    });
    connection.on('error', (error) => {
      failure ??= error.code ?? error.message;
    });
    connection.pipe(output);
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
