import { contextBridge, ipcRenderer, webUtils } from 'electron';
import type { Bridge } from '../../src-shared/bridge.ts';
import { CHANNELS } from '../../src-shared/channels.ts';

const bridge: Bridge = {
  connect: () => ipcRenderer.send(CHANNELS.connect),
  attach: (stream) => ipcRenderer.send(CHANNELS.attach, stream),
  pathOf: (file) => webUtils.getPathForFile(file as File),
  choosePath: async (request) => await (ipcRenderer.invoke(CHANNELS.choosePath, request) as Promise<string | null>),
};

contextBridge.exposeInMainWorld('bridge', bridge);

// Ports cannot cross the context bridge, so they and the notices reach the page as window messages.
ipcRenderer.on(CHANNELS.message, (event, message: unknown) => window.postMessage(message, location.origin, [...event.ports]));
