import { Terminal } from '@xterm/xterm';
import { openByteChannel } from '../../../src-shared/byte-stream.ts';

/** The page of the bench `terminal-flood`: the window's terminal, fed from memory or by the engine's session over a port. */

interface Figures {
  readonly ms: number;
  /** Of each keystroke, from its sending to its echo having been parsed, ms. */
  readonly echoes: readonly number[];
}

const BACKLOG = 256 * 1024;
const KEY_EVERY_MS = 50;
/** Control sequences of our own: an echo, and the end of the flood. */
const ECHO = 7001;
const END = 7002;

function openTerminal(): Terminal {
  document.body.replaceChildren();
  const element = document.createElement('div');
  document.body.append(element);
  const terminal = new Terminal({ cols: 120, rows: 30, fontSize: 13, lineHeight: 1.2, scrollback: 10_000, allowProposedApi: true });
  terminal.open(element);
  return terminal;
}

/** Writes `chunk` `times` times as fast as the terminal takes it. */
async function fromMemory(chunk: Uint8Array, times: number): Promise<Figures> {
  const terminal = openTerminal();
  const began = performance.now();
  await new Promise<void>((done) => {
    let written = 0;
    let drawn = 0;
    const feed = (): void => {
      while (written < times && (written - drawn) * chunk.length < BACKLOG) {
        written += 1;
        terminal.write(chunk, () => {
          drawn += 1;
          if (drawn === times) done();
          else feed();
        });
      }
    };
    feed();
  });
  const ms = performance.now() - began;
  terminal.dispose();
  return { ms, echoes: [] };
}

/** Shows what comes through the port until the flood's end, typing meanwhile. */
async function fromPort(port: MessagePort): Promise<Figures> {
  const terminal = openTerminal();
  const echoes: number[] = [];
  const began = performance.now();
  await new Promise<void>((done) => {
    let sentAt = 0;
    const channel = openByteChannel(
      {
        post: (message) => port.postMessage(message),
        onMessage: (listener) => {
          port.onmessage = (event: MessageEvent<unknown>) => listener(event.data);
        },
        onClose: (listener) => port.addEventListener('close', listener),
        close: () => port.close(),
      },
      { onData: (bytes, taken) => terminal.write(bytes, taken), onEnd: () => undefined },
    );
    terminal.parser.registerOscHandler(ECHO, () => {
      echoes.push(performance.now() - sentAt);
      setTimeout(type, KEY_EVERY_MS);
      return true;
    });
    terminal.parser.registerOscHandler(END, () => {
      channel.end();
      done();
      return true;
    });
    const type = (): void => {
      sentAt = performance.now();
      channel.write(Uint8Array.of(0x6b));
    };
    port.start();
    setTimeout(type, KEY_EVERY_MS);
  });
  const ms = performance.now() - began;
  terminal.dispose();
  return { ms, echoes };
}

declare global {
  interface Window {
    flood(kind: 'memory' | 'port', times: number): Promise<Figures>;
  }
}

window.flood = async (kind, times) => {
  // Plain lines with some colour, as a build prints them.
  const line = new TextEncoder().encode(
    '\x1b[32m[ 42%]\x1b[0m Building C object src/CMakeFiles/lago.dir/terminal/flood.c.o, a line of output\r\n',
  );
  const chunk = new Uint8Array(line.length * 300);
  for (let at = 0; at < chunk.length; at += line.length) chunk.set(line, at);
  if (kind === 'memory') return await fromMemory(chunk, times);
  const port = await new Promise<MessagePort>((resolve) => {
    const onMessage = ({ ports: [given] }: MessageEvent): void => {
      // The page hears its own request too.
      if (given === undefined) return;
      window.removeEventListener('message', onMessage);
      resolve(given);
    };
    window.addEventListener('message', onMessage);
    window.postMessage({ flood: { chunk, times } }, '*');
  });
  return await fromPort(port);
};
