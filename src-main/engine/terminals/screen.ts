import type { Terminal } from '@xterm/headless';

/** Lines above the screen that a session keeps; as many as the page shows. */
const SCROLLBACK = 10_000;
/** Output that may wait in the terminal to be drawn; above it the source is asked to pause. */
const BACKLOG = 256 * 1024;
/**
 * Output is drawn when there was none for this long (ms) or somebody asks for the screen, so that a flood is not drawn twice at the
 * speed of the page. Meanwhile this much waits; of more, what would have been scrolled away is skipped.
 */
const IDLE_MS = 100;
const WAITING = 4 * 1024 * 1024;

/** The screen of a session with its history, drawn without a page. */
export interface SessionScreen {
  /** Draws output; false asks for no more until `onDrained`. */
  write(bytes: Uint8Array): boolean;
  resize(columns: number, rows: number): void;
  /** Text that draws this screen and its history on an empty terminal, once all output so far is drawn. */
  serialize(): Promise<string>;
  dispose(): void;
}

/** Makes an empty screen. Its code is loaded with the first one. */
export async function openScreenOf(columns: number, rows: number, onDrained: () => void): Promise<SessionScreen> {
  const [{ default: headless }, { SerializeAddon }] = await Promise.all([import('@xterm/headless'), import('@xterm/addon-serialize')]);
  const terminal: Terminal = new headless.Terminal({ allowProposedApi: true, cols: columns, rows, scrollback: SCROLLBACK });
  const serializer = new SerializeAddon();
  terminal.loadAddon(serializer);
  let drawing = 0;
  let full = false;
  let disposed = false;
  let idle: NodeJS.Timeout | undefined;
  const waiting: { readonly bytes: Uint8Array; readonly skippable: boolean }[] = [];
  let waitingBytes = 0;
  let plainBefore = true;

  function draw(bytes: Uint8Array): void {
    drawing += bytes.length;
    terminal.write(bytes, () => {
      drawing -= bytes.length;
      if (!full || drawing > BACKLOG / 2) return;
      full = false;
      onDrained();
    });
    if (drawing > BACKLOG) full = true;
  }

  function drawAll(): void {
    clearTimeout(idle);
    for (const { bytes } of waiting.splice(0)) draw(bytes);
    waitingBytes = 0;
  }

  function makeRoom(): void {
    let skipped = false;
    while (waitingBytes > WAITING) {
      const first = waiting.shift();
      if (first === undefined) break;
      waitingBytes -= first.bytes.length;
      if (first.skippable) skipped = true;
      else draw(first.bytes);
    }
    // What was drawn before may end within a control sequence.
    if (skipped) draw(CANCEL);
  }

  return {
    write(bytes) {
      if (disposed) return true;
      const plain = isPlain(bytes);
      // What follows other control sequences may be the rest of one.
      waiting.push({ bytes, skippable: plain && plainBefore });
      plainBefore = plain;
      waitingBytes += bytes.length;
      makeRoom();
      clearTimeout(idle);
      idle = setTimeout(drawAll, IDLE_MS);
      return !full;
    },
    resize(width, height) {
      if (disposed) return;
      drawAll();
      terminal.resize(width, height);
    },
    serialize: async () =>
      await new Promise((resolve) => {
        if (disposed) {
          resolve('');
          return;
        }
        drawAll();
        // Its callback runs before what is written after it is drawn.
        terminal.write('', () => resolve(serializer.serialize()));
      }),
    dispose() {
      disposed = true;
      clearTimeout(idle);
      // Not before it has drawn what it was given.
      terminal.write('', () => terminal.dispose());
    },
  };
}

const ESCAPE = 0x1b;
/** Ends a control sequence that is incomplete. */
const CANCEL = Uint8Array.of(0x18);

/** Whether output consists of text, line ends and complete colours only: all that it leaves behind is what it prints. */
export function isPlain(bytes: Uint8Array): boolean {
  // Shift out and in choose another alphabet.
  if (bytes.includes(0x0e) || bytes.includes(0x0f)) return false;
  for (let at = bytes.indexOf(ESCAPE); at >= 0; at = bytes.indexOf(ESCAPE, at + 1)) {
    if (bytes[at + 1] !== 0x5b) return false;
    let end = at + 2;
    while (isParameter(bytes[end])) end += 1;
    if (bytes[end] !== 0x6d) return false;
  }
  return true;
}

/** Digits, colon and semicolon. */
function isParameter(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x3b;
}
