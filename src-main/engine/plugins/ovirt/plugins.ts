import type { Plugin } from '../contract.ts';
import { OVIRT_VERB } from './verb.ts';
import { OVIRT_VM_TYPES } from './vm-types.ts';

/** Environments of oVirt: VM types, and the verb `lago ovirt`. See docs/ovirt.md. */
export const OVIRT: readonly Plugin[] = [...OVIRT_VM_TYPES, OVIRT_VERB];
