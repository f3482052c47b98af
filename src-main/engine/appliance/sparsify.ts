import { EngineError } from '../../../src-shared/errors.ts';
import { run } from '../core/run.ts';
import { type ApplianceOptions, runAppliance } from './appliance.ts';

/**
 * When virt-sparsify is used: `auto` where it is installed and KVM is there (by emulation it takes minutes for each disk), `always`
 * (an error without it), `never`.
 */
export type SparsifyMode = 'auto' | 'always' | 'never';

/** Whether to use virt-sparsify, and in words why not. `host.missing-tool` for `always` without it. */
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

/** Gives back what the file systems on an image do not use, in place. The image must not be in use. Fails as `runAppliance` does. */
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
