import { EngineError } from '../../../src-shared/errors.ts';
import { run } from '../core/run.ts';
import { type ApplianceOptions, runAppliance } from './appliance.ts';

/**
 * When to use virt-sparsify: `auto` if it is installed and KVM is available (without KVM it takes minutes for each disk), `always` (an
 * error without it), `never`.
 */
export type SparsifyMode = 'auto' | 'always' | 'never';

/** Whether to use virt-sparsify, and if not, why. `host.missing-tool` for `always` without it. */
export async function chooseSparsify(
  mode: SparsifyMode,
  accelerator: 'kvm' | 'tcg',
  signal?: AbortSignal,
): Promise<{ readonly use: boolean; readonly why: string }> {
  if (mode === 'never') return { use: false, why: 'the configuration says so' };
  if (mode === 'auto' && accelerator !== 'kvm') return { use: false, why: 'virt-sparsify is slow without KVM' };
  try {
    await run(['virt-sparsify', '--version'], { signal });
    return { use: true, why: '' };
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'host.missing-tool') throw error;
    if (mode === 'auto') return { use: false, why: 'virt-sparsify is not installed' };
    throw new EngineError('host.missing-tool', 'virt-sparsify is not installed, and sparsify is "always".', {
      cause: error,
      details: { program: 'virt-sparsify', package: 'libguestfs-tools' },
      hint: 'Install libguestfs-tools (Debian, Ubuntu) or guestfs-tools (Fedora), or use sparsify "auto".',
    });
  }
}

/** Trims the unused space of an image's file systems, in place. The image must not be in use. Fails like `runAppliance`. */
export async function sparsifyInPlace(
  image: { readonly path: string; readonly format: string; readonly what: string },
  options: ApplianceOptions,
): Promise<void> {
  await runAppliance(
    {
      argv: ['virt-sparsify', '--in-place', '--format', image.format, image.path],
      failure: `Failed to sparsify ${image.what} (${image.path})`,
      secrets: [],
    },
    {},
    options,
  );
}
