import type { DiskCalls } from '../hypervisor.ts';
import { type DomainRef, procedures } from '../rpc/protocol.ts';
import { blockJobKindOf } from '../rpc/values.ts';
import { layersXml } from '../xml/device-xml.ts';
import type { LibvirtSession } from './session.ts';

const COPY_SHALLOW = 1;
const COPY_REUSE = 2;
/** The job cannot outlive a restart of the domain; libvirt insists on that for persistent domains. */
const COPY_TRANSIENT = 4;
const COMMIT_SHALLOW = 1;
const COMMIT_ACTIVE = 4;
const COMMIT_RELATIVE = 8;
const REBASE_RELATIVE = 16;
const RESIZE_BYTES = 1;
const ABORT_PIVOT = 2;
const UNLIMITED = 0;
/** virDomainSnapshotCreateFlags. */
const NO_METADATA = 4;
const DISK_ONLY = 16;
const REUSE_EXTERNAL = 32;
const QUIESCE = 64;

/** Calls about the disks of running domains. */
export function diskCalls(session: LibvirtSession): DiskCalls {
  return {
    async addLayers(name, layers, how, options) {
      const doing = 'Adding layers to the disks of';
      const get = (domain: DomainRef) => ({ domain, flags: 0 });
      const description = (await session.onDomain(procedures.domainGetXml, name, get, doing, options)).xml;
      const xml = layersXml(description, layers);
      const flags = DISK_ONLY | NO_METADATA | (how?.quiesce === true ? QUIESCE : 0) | (how?.reuse === true ? REUSE_EXTERNAL : 0);
      await session.onDomain(procedures.snapshotCreate, name, (domain) => ({ domain, xml, flags }), doing, options);
    },

    async copyDisk(name, disk, xml, how, options) {
      const flags = COPY_TRANSIENT | (how?.shallow === true ? COPY_SHALLOW : 0) | (how?.reuse === true ? COPY_REUSE : 0);
      const args = (domain: DomainRef) => ({ domain, disk, xml, parameters: [], flags });
      await session.onDomain(procedures.domainBlockCopy, name, args, `Copying disk ${disk} of`, options);
    },

    async commitDisk(name, disk, into, options) {
      const { base, top, relative } = into === 'backing' ? { base: undefined, top: undefined, relative: false } : into;
      // Without "top" it is the active layer.
      const flags =
        (into === 'backing' ? COMMIT_SHALLOW : 0) | (top === undefined ? COMMIT_ACTIVE : 0) | (relative === true ? COMMIT_RELATIVE : 0);
      const args = (domain: DomainRef) => ({ domain, disk, base, top, bandwidth: UNLIMITED, flags });
      await session.onDomain(procedures.domainBlockCommit, name, args, `Committing disk ${disk} of`, options);
    },

    async pullDisk(name, disk, how, options) {
      const doing = `Completing disk ${disk} of`;
      const args = (domain: DomainRef) => ({ domain, disk, bandwidth: UNLIMITED, flags: 0 });
      if (how?.base === undefined) {
        await session.onDomain(procedures.domainBlockPull, name, args, doing, options);
        return;
      }
      const { base } = how;
      const flags = how.relative === true ? REBASE_RELATIVE : 0;
      await session.onDomain(procedures.domainBlockRebase, name, (domain) => ({ ...args(domain), base, flags }), doing, options);
    },

    async resizeDisk(name, disk, bytes, options) {
      const args = (domain: DomainRef) => ({ domain, disk, size: bytes, flags: RESIZE_BYTES });
      await session.onDomain(procedures.domainBlockResize, name, args, `Resizing disk ${disk} of`, options);
    },

    async blockJob(name, disk, options) {
      const args = (domain: DomainRef) => ({ domain, disk, flags: 0 });
      const doing = `Asking for the work on disk ${disk} of`;
      const { found, kind, done, total } = await session.onDomain(procedures.domainGetBlockJobInfo, name, args, doing, options);
      return found === 1 ? { kind: blockJobKindOf(kind), done, total } : undefined;
    },

    async endBlockJob(name, disk, how, options) {
      const args = (domain: DomainRef) => ({ domain, disk, flags: how?.pivot === true ? ABORT_PIVOT : 0 });
      await session.onDomain(procedures.domainBlockJobAbort, name, args, `Ending the work on disk ${disk} of`, options);
    },
  };
}
