import { app, Menu, type MenuItemConstructorOptions } from 'electron';
import type { ZoomStep } from './zoom.ts';

const ZOOM = [
  { label: 'Zoom in', accelerator: 'CmdOrCtrl+=', step: 'in' },
  { label: 'Zoom out', accelerator: 'CmdOrCtrl+-', step: 'out' },
  { label: 'Actual size', accelerator: 'CmdOrCtrl+0', step: 'reset' },
] as const;

/**
 * The menu bar (shown with Alt). Leaves Ctrl+W, Ctrl+R, Ctrl+A and Ctrl+Z to terminals. Editing shortcuts need no accelerator, as
 * Chromium handles them.
 */
export function setMenu(actions: { openFile(): void; zoom(step: ZoomStep): void }): void {
  const view: MenuItemConstructorOptions[] = [
    ...ZOOM.map(
      ({ label, accelerator, step }): MenuItemConstructorOptions => ({
        label,
        accelerator,
        registerAccelerator: false, // the window handles these keys
        click: () => actions.zoom(step),
      }),
    ),
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
