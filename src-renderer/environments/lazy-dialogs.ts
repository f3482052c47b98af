import { lazy } from 'react';

/** The typed confirmation; its code is fetched when it is first asked for. */
export const DestroyDialog = lazy(async () => ({ default: (await import('./destroy-dialog.tsx')).DestroyDialog }));

/** Where and how to export. */
export const ExportDialog = lazy(async () => ({ default: (await import('./export-dialog.tsx')).ExportDialog }));
