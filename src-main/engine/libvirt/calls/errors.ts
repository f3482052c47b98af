import { EngineError } from '../../../../src-shared/errors.ts';
import { LIBVIRT_ERROR } from '../rpc/protocol.ts';

/** libvirt's code of an error that libvirt reported; undefined for any other error. */
export function libvirtCode(error: unknown): number | undefined {
  if (!(error instanceof EngineError) || error.code !== 'hypervisor.failed') return undefined;
  const code = error.details['libvirtCode'];
  return typeof code === 'number' ? code : undefined;
}

/** The error of a call about a domain that libvirt does not know. */
export function domainMissing(name: string, cause?: unknown): EngineError {
  return new EngineError('vm.missing', `libvirt knows no VM ${name}.`, { cause });
}

/** The error of a call about a network that libvirt does not know. */
export function networkMissing(name: string): EngineError {
  return new EngineError('hypervisor.failed', `libvirt knows no network ${name}.`, {
    details: { procedure: 'networkLookupByName', libvirtCode: LIBVIRT_ERROR.noNetwork },
  });
}
