import { lazy } from 'react';

/** The typed confirmation; its code is fetched when it is first asked for. */
export const DestroyDialog = lazy(async () => ({ default: (await import('./destroy-dialog.tsx')).DestroyDialog }));
