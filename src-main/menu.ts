import { app, Menu, type MenuItemConstructorOptions } from 'electron';

/**
 * The menu bar (shown with Alt). Accelerators that a terminal needs (Ctrl+W, Ctrl+R, Ctrl+A, Ctrl+Z) are not taken: Chromium does
 * the editing ones by itself.
 */
export function setMenu(actions: { openFile(): void }): void {
  const view: MenuItemConstructorOptions[] = [
    { role: 'resetZoom' },
    { role: 'zoomIn' },
    { role: 'zoomOut' },
    { type: 'separator' },
    { role: 'togglefullscreen' },
  ];
  if (!app.isPackaged) view.push({ type: 'separator' }, { role: 'toggleDevTools' });
  const template: MenuItemConstructorOptions[] = [
    {
      label: 'File',
      submenu: [
        { label: 'Open init file…', accelerator: 'CmdOrCtrl+O', registerAccelerator: false, click: () => actions.openFile() },
        { type: 'separator' },
        { label: 'Quit', accelerator: 'CmdOrCtrl+Shift+Q', click: () => app.quit() },
      ],
    },
    {
      label: 'Edit',
      submenu: (['cut', 'copy', 'paste', 'selectAll'] as const).map((role) => ({ role, registerAccelerator: false })),
    },
    { label: 'View', submenu: view },
  ];
  Menu.setApplicationMenu(Menu.buildFromTemplate(template));
}
