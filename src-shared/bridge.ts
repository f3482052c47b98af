/**
 * What the preload script puts on `window.bridge`: the only connection between the page and the rest of the program. Ports arrive as
 * window messages because they cannot cross the context bridge.
 */
export interface Bridge {
  /** Requests a port to the engine. It arrives with the window message `{ lago: 'rpc' }`. */
  connect(): void;
  /** Requests a port to a stream that `terminal.open` returned. It arrives with the window message `{ lago: 'stream', stream }`. */
  attach(stream: string): void;
  /** Absolute path of a dropped or chosen `File` (a type that only the page has); empty for files that are not on disk. */
  pathOf(file: { readonly name: string }): string;
  /** Shows the system's file dialog and returns the absolute path that the user chose; null when the user cancels. */
  choosePath(request: PathRequest): Promise<string | null>;
}

/** What the user is to choose: something that exists, or under which name to save. */
export type PathRequest =
  | { readonly what: 'init file' | 'file' | 'directory' }
  /** `name` is only proposed. */
  | { readonly what: 'save'; readonly name: string };

const MAX_NAME = 255;

/** Whether a value from the page is such a request. */
export function isPathRequest(value: unknown): value is PathRequest {
  if (typeof value !== 'object' || value === null || !('what' in value)) return false;
  const { what, name } = value as { what: unknown; name?: unknown };
  if (what === 'save') return typeof name === 'string' && name.length <= MAX_NAME && !name.includes('/');
  return what === 'init file' || what === 'file' || what === 'directory';
}

/** Messages that the preload script posts to the page's own window. Ignore any others that arrive there. */
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
