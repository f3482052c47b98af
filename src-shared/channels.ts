/** Names of the Electron IPC channels between the preload script and the main process. */
export const CHANNELS = {
  connect: 'lago:connect',
  attach: 'lago:attach',
  choosePath: 'lago:choose-path',
  /** Main process to page: a `BridgeMessage`, with its port if it has one. */
  message: 'lago:message',
} as const;
