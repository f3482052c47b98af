import { EngineError } from '../../../src-shared/errors.ts';
import { type ApplianceOptions, commandsFile, runAppliance } from './appliance.ts';
import {
  type GuestFamily,
  KEY_FILE,
  PASSWORD_FILE,
  type SysprepNic,
  type SysprepSpec,
  sysprepCommands,
  sysprepOptions,
} from './sysprep-commands.ts';

export interface SysprepRequest {
  readonly vm: string;
  /** Absolute path of the disk with the root file system; changed in place. */
  readonly disk: string;
  /** As QEMU calls it; never guessed. */
  readonly format: string;
  readonly family: GuestFamily;
  readonly nics: readonly SysprepNic[];
  /** One line of `authorized_keys` for root. */
  readonly publicKey: string;
  /** In clear; without it root keeps the password that the template has. Lies in a 0600 file while it is needed. */
  readonly rootPassword?: string | undefined;
}

/**
 * Personalises a disk by virt-sysprep: takes away what must not be shared, sets host name, password, key and network. The disk must not
 * be in use. Fails as `runAppliance` does; then the disk may be half-changed.
 */
export async function sysprep(request: SysprepRequest, options: ApplianceOptions): Promise<void> {
  const { vm, disk, format, family, nics, rootPassword } = request;
  if (/[\r\n]/.test(rootPassword ?? '')) throw new EngineError('input.invalid', `The root password of ${vm} must be one line.`);
  const spec: SysprepSpec = { vm, family, nics, rootPassword: rootPassword !== undefined };
  const command = {
    argv: ['virt-sysprep', '--format', format, '-a', disk, ...sysprepOptions(spec), '--commands-from-file', 'commands'],
    failure: `Failed to bootstrap ${vm} (${disk})`,
    secrets: rootPassword === undefined ? [] : [rootPassword],
  };
  const files = {
    commands: commandsFile(sysprepCommands(spec)),
    [KEY_FILE]: `${request.publicKey.trim()}\n`,
    ...(rootPassword === undefined ? {} : { [PASSWORD_FILE]: `${rootPassword}\n` }),
  };
  await runAppliance(command, files, options);
}

/** Takes away what must not be shared (keys, logs, machine id), and personalises nothing. Fails as `runAppliance` does. */
export async function generalize(
  image: { readonly path: string; readonly format: string; readonly what: string },
  options: ApplianceOptions,
): Promise<void> {
  await runAppliance(
    {
      argv: ['virt-sysprep', '--format', image.format, '-a', image.path],
      failure: `Failed to generalise ${image.what} (${image.path})`,
      secrets: [],
    },
    {},
    options,
  );
}
