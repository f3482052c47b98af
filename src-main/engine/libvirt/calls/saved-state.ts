import type { SavedStateCalls } from '../hypervisor.ts';
import { procedures } from '../rpc/protocol.ts';
import { jobOf } from '../rpc/values.ts';
import type { LibvirtSession } from './session.ts';

const RESTORE_RUNNING = 2;
const RESTORE_PAUSED = 4;
/** virDomainJobType: a job with or without a known end; the others are over. */
const UNDER_WAY: ReadonlySet<number> = new Set([1, 2]);

/** Calls that save the state of domains. */
export function savedStateCalls(session: LibvirtSession): SavedStateCalls {
  return {
    async managedSave(name, options) {
      await session.onDomain(procedures.domainManagedSave, name, (domain) => ({ domain, flags: 0 }), 'Saving', options);
    },

    async hasManagedSave(name, options) {
      const doing = 'Looking for the saved state of';
      return (
        (await session.onDomain(procedures.domainHasManagedSave, name, (domain) => ({ domain, flags: 0 }), doing, options)).result === 1
      );
    },

    async removeManagedSave(name, options) {
      const doing = 'Removing the saved state of';
      await session.onDomain(procedures.domainRemoveManagedSave, name, (domain) => ({ domain, flags: 0 }), doing, options);
    },

    async saveDomain(name, path, options) {
      await session.onDomain(procedures.domainSave, name, (domain) => ({ domain, path, xml: undefined, flags: 0 }), 'Saving', options);
    },

    async restoreDomain(path, how, options) {
      const flags = how?.state === 'running' ? RESTORE_RUNNING : how?.state === 'paused' ? RESTORE_PAUSED : 0;
      await session.call(procedures.domainRestore, { path, xml: how?.xml, flags }, `Restoring a VM from ${path}`, options);
    },

    async domainJob(name, options) {
      const doing = 'Asking for the work on';
      const { kind, values } = await session.onDomain(
        procedures.domainGetJobStats,
        name,
        (domain) => ({ domain, flags: 0 }),
        doing,
        options,
      );
      return UNDER_WAY.has(kind) ? jobOf(values) : undefined;
    },

    async abortJob(name, options) {
      await session.onDomain(procedures.domainAbortJob, name, (domain) => ({ domain }), 'Stopping the work on', options);
    },
  };
}
