import type { Terminal } from '@xterm/headless';

/** Lines above the screen that a session keeps; as many as the page shows. */
const SCROLLBACK = 10_000;
/** Output that may wait to be drawn; above it the source is asked to pause. */
const BACKLOG = 256 * 1024;

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
  let waiting = 0;
  let full = false;
  let disposed = false;
  return {
    write(bytes) {
      if (disposed) return true;
      waiting += bytes.length;
      terminal.write(bytes, () => {
        waiting -= bytes.length;
        if (!full || waiting > BACKLOG / 2) return;
        full = false;
        onDrained();
      });
      if (waiting > BACKLOG) full = true;
      return !full;
    },
    resize(width, height) {
      if (!disposed) terminal.resize(width, height);
    },
    serialize: async () =>
      await new Promise((resolve) => {
        // Its callback runs before what is written after it is drawn.
        if (disposed) resolve('');
        else terminal.write('', () => resolve(serializer.serialize()));
      }),
    dispose() {
      disposed = true;
      // Not before it has drawn what it was given.
      terminal.write('', () => terminal.dispose());
    },
  };
}
