import { lazy } from 'react';

/** What was collected; loaded on first use. */
export const ArtifactsView = lazy(async () => ({ default: (await import('../artifacts/artifacts-view.tsx')).ArtifactsView }));

/** Its packages: merged, served and fetched; loaded on first use. */
export const PackagesView = lazy(async () => ({ default: (await import('../packages/packages-view.tsx')).PackagesView }));

/** Confirmation by typing the name; loaded on first use. */
export const DestroyDialog = lazy(async () => ({ default: (await import('./destroy-dialog.tsx')).DestroyDialog }));

/** Ports of a VM on this machine. */
export const ForwardDialog = lazy(async () => ({ default: (await import('./vm/forward-dialog.tsx')).ForwardDialog }));

/** Memory and devices of a VM. */
export const ChangeDialog = lazy(async () => ({ default: (await import('./vm/change/change-dialog.tsx')).ChangeDialog }));

/** What changed in VMs since a snapshot. */
export const ChangesDialog = lazy(async () => ({ default: (await import('../snapshots/changes/changes-dialog.tsx')).ChangesDialog }));

/** What to copy to or from a VM, and where to. */
export const CopyDialog = lazy(async () => ({ default: (await import('./vm/copy-dialog.tsx')).CopyDialog }));

/** Where and how to export. */
export const ExportDialog = lazy(async () => ({ default: (await import('./export-dialog.tsx')).ExportDialog }));

/** Where to export a snapshot to. */
export const ExportPointDialog = lazy(async () => ({
  default: (await import('../snapshots/dialogs/export-point-dialog.tsx')).ExportPointDialog,
}));

/** The name of an environment that goes on from an exported snapshot. */
export const ResumeDialog = lazy(async () => ({ default: (await import('../snapshots/dialogs/resume-dialog.tsx')).ResumeDialog }));

/** A second environment that goes on from a snapshot or from the present. */
export const ForkDialog = lazy(async () => ({ default: (await import('../snapshots/dialogs/fork-dialog.tsx')).ForkDialog }));
