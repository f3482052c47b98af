import { type BrowserWindow, dialog } from 'electron';
import type { PathRequest } from '../../src-shared/bridge.ts';

const TITLES = { 'init file': 'Open an init file', file: 'Choose a file', directory: 'Choose a directory' } as const;
const INIT_FILES = [
  { name: 'Init files', extensions: ['json', 'yaml', 'yml'] },
  { name: 'All files', extensions: ['*'] },
];

/** Shows the system's file dialog; null when the user cancels. It asks before a file is to be replaced. */
export async function choosePath(window: BrowserWindow, request: PathRequest): Promise<string | null> {
  if (request.what === 'save') {
    const { canceled, filePath } = await dialog.showSaveDialog(window, {
      title: 'Save as',
      defaultPath: request.name,
      properties: ['createDirectory', 'showOverwriteConfirmation', 'showHiddenFiles'],
    });
    return canceled || filePath === '' ? null : filePath;
  }
  const { canceled, filePaths } = await dialog.showOpenDialog(window, {
    title: TITLES[request.what],
    properties: request.what === 'directory' ? ['openDirectory', 'createDirectory', 'showHiddenFiles'] : ['openFile', 'showHiddenFiles'],
    ...(request.what === 'init file' ? { filters: INIT_FILES } : {}),
  });
  return canceled ? null : (filePaths[0] ?? null);
}
