import { connect } from 'node:net';

/*
 * The three libvirt RPC calls that show whether a daemon is ready, written by hand since hosts must not depend on the libvirt adapter.
 * Numbers are those of remote_protocol.x (program 0x20008086, version 1).
 */
const PROGRAM = 0x20008086;
const CONNECT_OPEN = 1;
const AUTH_LIST = 66;
const HEADER = 28;

function call(procedure: number, serial: number, body: Buffer): Buffer {
  const message = Buffer.alloc(HEADER + body.length);
  [message.length, PROGRAM, 1, procedure, 0, serial, 0].forEach((word, index) => message.writeUInt32BE(word, index * 4));
  body.copy(message, HEADER);
  return message;
}

function openBody(name: string): Buffer {
  const text = Buffer.from(name);
  const body = Buffer.alloc(8 + Math.ceil(text.length / 4) * 4 + 4);
  body.writeUInt32BE(1, 0);
  body.writeUInt32BE(text.length, 4);
  text.copy(body, 8);
  return body;
}

/** Result of asking a libvirt daemon for its QEMU driver. */
export type LibvirtAnswer = 'ready' | 'not-yet' | { readonly refused: string };

/**
 * Asks the daemon behind a socket to open `qemu:///system`. `ready` means that all drivers are up and QEMU's accepted its configuration;
 * `not-yet` that nobody listens or no answer came within `timeoutMs`; `refused` carries libvirt's message.
 */
export async function askLibvirt(socketPath: string, timeoutMs: number): Promise<LibvirtAnswer> {
  return await new Promise<LibvirtAnswer>((resolve) => {
    const socket = connect(socketPath);
    let received = Buffer.alloc(0);
    const finish = (answer: LibvirtAnswer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => finish('not-yet'), timeoutMs);
    socket.on('connect', () => {
      socket.write(call(AUTH_LIST, 1, Buffer.alloc(0)));
    });
    // A daemon that is still starting drops connections: not ready yet.
    socket.on('error', () => finish('not-yet'));
    socket.on('close', () => finish('not-yet'));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= HEADER) {
        const length = received.readUInt32BE(0);
        if (length < HEADER || length > 1024 * 1024) return finish({ refused: 'It does not speak libvirt’s protocol.' });
        if (received.length < length) return;
        const message = received.subarray(0, length);
        received = received.subarray(length);
        if (message.readUInt32BE(24) !== 0) return finish({ refused: errorText(message) });
        if (message.readUInt32BE(12) === CONNECT_OPEN) return finish('ready');
        socket.write(call(CONNECT_OPEN, 2, openBody('qemu:///system')));
      }
    });
  });
}

/** The sentence in an error reply: code, domain, then an optional string. */
function errorText(message: Buffer): string {
  if (message.length < HEADER + 16 || message.readUInt32BE(HEADER + 8) === 0) return 'It gave no reason.';
  const length = message.readUInt32BE(HEADER + 12);
  return message.subarray(HEADER + 16, HEADER + 16 + length).toString('utf8');
}
