/**
 * What the preload puts on `window.bridge`: the only door from the page to the rest of the program. Ports arrive as window messages
 * because a port cannot cross the context bridge itself.
 */
export interface Bridge {
  /** Asks for a port to the engine; answered by the window message `{ lago: 'rpc' }` with one port. */
  connect(): void;
  /** Asks for the bytes of a stream that `terminal.open` answered; answered by `{ lago: 'stream', stream }` with one port. */
  attach(stream: string): void;
  /** Absolute path of a dropped or chosen `File` (a type that exists in the page only); empty for files that are not on disk. */
  pathOf(file: { readonly name: string }): string;
  /** Shows the system's open dialog; null when the user cancels. */
  openFile(): Promise<string | null>;
}

/** Messages that the preload posts to the page's own window. Anything else that arrives there is not ours. */
export type BridgeMessage =
  | { readonly lago: 'rpc' }
  | { readonly lago: 'stream'; readonly stream: string }
  /** The window was asked to close while operations run: ask the user, then call `app.leave`. */
  | { readonly lago: 'closing' }
  /** Show the plan of this file (second start of the program with a file). */
  | { readonly lago: 'open'; readonly path: string };

/** Whether a window message is one of ours. */
export function isBridgeMessage(value: unknown): value is BridgeMessage {
  if (typeof value !== 'object' || value === null || !('lago' in value)) return false;
  const message = value as { lago: unknown; stream?: unknown; path?: unknown };
  switch (message.lago) {
    case 'rpc':
    case 'closing':
      return true;
    case 'stream':
      return typeof message.stream === 'string';
    case 'open':
      return typeof message.path === 'string';
    default:
      return false;
  }
}
