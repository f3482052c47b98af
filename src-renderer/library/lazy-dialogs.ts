import { lazy } from 'react';

const evict = () => import('./evict-dialogs.tsx');

// Loaded on first use.
export const EvictDialog = lazy(async () => ({ default: (await evict()).EvictDialog }));
export const EvictUnusedDialog = lazy(async () => ({ default: (await evict()).EvictUnusedDialog }));
export const AddRepositoryDialog = lazy(async () => ({ default: (await import('./add-repository-dialog.tsx')).AddRepositoryDialog }));
