import { join } from 'node:path';
import { type ApplianceOptions, commandsFile, runAppliance } from './appliance.ts';
import { type BuilderOptions, customizeCall } from './customize-options.ts';

export interface CustomizeRequest {
  readonly vm: string;
  /** Name of the disk in the init file, for messages. */
  readonly name: string;
  /** Absolute path; changed in place. */
  readonly disk: string;
  readonly format: string;
  readonly options: BuilderOptions;
  /** The key that `ssh-inject: ''` gives to root: one line of `authorized_keys`. */
  readonly publicKey: string;
  /** Base of relative paths in the options. */
  readonly cwd: string;
  /** False: the commands inside have no network, whatever the options say. */
  readonly network: boolean;
  /** Masked in the log in addition to the options' own secrets. */
  readonly secrets: readonly string[];
}

/**
 * Runs one builder on a disk that is not in use. Rejects like `runAppliance`, and with `input.invalid` for invalid options; the disk may
 * then be partly changed.
 */
export async function customize(request: CustomizeRequest, options: ApplianceOptions): Promise<void> {
  const call = customizeCall(request.options, request.publicKey);
  const command = {
    argv: [
      ...['virt-customize', '--format', request.format, '-a', request.disk],
      ...call.args,
      ...(call.commands.length === 0 ? [] : ['--commands-from-file', join(options.scratch, 'commands')]),
      ...(request.network ? [] : ['--no-network']),
    ],
    cwd: request.cwd,
    failure: `Failed to build disk ${request.name} of ${request.vm} (${request.disk})`,
    secrets: [...request.secrets, ...call.secrets],
  };
  await runAppliance(command, { commands: commandsFile(call.commands) }, options);
}
