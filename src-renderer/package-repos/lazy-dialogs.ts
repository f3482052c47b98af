import { lazy } from 'react';

// Loaded on first use.
export const RemoveReposDialog = lazy(async () => ({ default: (await import('./remove-repos-dialog.tsx')).RemoveReposDialog }));
export const SyncFileDialog = lazy(async () => ({ default: (await import('./sync-file-dialog.tsx')).SyncFileDialog }));
