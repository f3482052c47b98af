// Runs inside an embedded host: connects the unix socket argv[2] with TCP on the environment's networks. The first line of a
// connection is a JSON request, the first line of the answer `ok ...` or `err CODE`:
//   {"op":"dial","address","port","timeoutMs"}   then raw bytes both ways
//   {"op":"listen","address","port","path"}      each TCP connection is handed to the unix socket `path`; lasts as long as the
//                                                asking connection
'use strict';
const { rmSync, chmodSync } = require('node:fs');
const net = require('node:net');

const socketPath = process.argv[2];
const REQUEST_LIMIT = 4096;

function join(a, b) {
  a.pipe(b);
  b.pipe(a);
  for (const [one, other] of [
    [a, b],
    [b, a],
  ]) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroySoon());
  }
}

function refuse(client, code) {
  if (!client.destroyed) client.end(`err ${code}\n`);
}

function dial(client, request, early) {
  const target = net.connect({ host: request.address, port: request.port, allowHalfOpen: true, noDelay: true });
  const timer = setTimeout(() => fail('ETIMEDOUT'), request.timeoutMs);
  function fail(code) {
    clearTimeout(timer);
    target.destroy();
    refuse(client, code);
  }
  const onError = (error) => fail(error.code ?? 'EIO');
  const onGone = () => {
    clearTimeout(timer);
    target.destroy();
  };
  target.once('error', onError);
  client.once('close', onGone);
  target.once('connect', () => {
    clearTimeout(timer);
    target.off('error', onError);
    client.off('close', onGone);
    client.write('ok\n');
    if (early.length > 0) target.write(early);
    join(client, target);
  });
}

function listen(client, request) {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (guest) => {
    const out = net.connect({ path: request.path, allowHalfOpen: true });
    guest.once('close', () => out.destroy());
    guest.on('error', () => out.destroy());
    out.on('error', () => guest.destroy());
    out.once('connect', () => join(guest, out));
  });
  server.once('error', (error) => refuse(client, error.code ?? 'EIO'));
  server.listen({ host: request.address, port: request.port }, () => client.write(`ok ${server.address().port}\n`));
  client.on('close', () => server.close());
  client.on('end', () => client.end());
  client.resume();
}

const server = net.createServer({ allowHalfOpen: true }, (client) => {
  let received = Buffer.alloc(0);
  client.on('error', () => client.destroy());
  client.on('data', onData);
  function onData(chunk) {
    received = Buffer.concat([received, chunk]);
    const end = received.indexOf(10);
    if (end < 0) {
      if (received.length > REQUEST_LIMIT) client.destroy();
      return;
    }
    client.off('data', onData);
    client.pause();
    let request;
    try {
      request = JSON.parse(received.subarray(0, end).toString('utf8'));
    } catch {
      refuse(client, 'EPROTO');
      return;
    }
    if (request.op === 'dial') dial(client, request, received.subarray(end + 1));
    else if (request.op === 'listen') listen(client, request);
    else refuse(client, 'EPROTO');
  }
});

rmSync(socketPath, { force: true });
server.listen(socketPath, () => chmodSync(socketPath, 0o600));
