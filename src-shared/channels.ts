/** Names of the Electron IPC channels between the preload script and the main process. */
export const CHANNELS = {
  connect: 'lago:connect',
  attach: 'lago:attach',
  openFile: 'lago:open-file',
  /** Main process to page: a `BridgeMessage`, with its port if it has one. */
  message: 'lago:message',
} as const;
