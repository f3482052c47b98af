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
  /** QEMU's name of it; never guessed. */
  readonly format: string;
  readonly family: GuestFamily;
  readonly nics: readonly SysprepNic[];
  /** One line of `authorized_keys` for root. */
  readonly publicKey: string;
  /** In clear text; without it root keeps the template's password. Stored in a 0600 file during the run. */
  readonly rootPassword?: string | undefined;
}

/**
 * Customizes a disk with virt-sysprep: removes what VMs must not share, sets host name, password, key and network. The disk must not be in
 * use. Fails like `runAppliance`; the disk may then be partly changed.
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

/** Removes what VMs must not share (keys, logs, machine id) and sets nothing. Fails like `runAppliance`. */
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
