import { lazy } from 'react';

/** Confirmation by typing the name; loaded on first use. */
export const DestroyDialog = lazy(async () => ({ default: (await import('./destroy-dialog.tsx')).DestroyDialog }));

/** Ports of a VM on this machine. */
export const ForwardDialog = lazy(async () => ({ default: (await import('./forward-dialog.tsx')).ForwardDialog }));

/** Where and how to export. */
export const ExportDialog = lazy(async () => ({ default: (await import('./export-dialog.tsx')).ExportDialog }));
