import { EngineError } from '../../../../src-shared/errors.ts';
import { readXml, textXml } from '../../core/xml/read-xml.ts';
import type { CallOptions, DomainSnapshot, SnapshotCalls } from '../hypervisor.ts';
import { type DomainRef, LIBVIRT_ERROR, procedures, type SnapshotRef } from '../rpc/protocol.ts';
import { snapshotOf, sortSnapshots } from '../rpc/values.ts';
import { libvirtCode } from './errors.ts';
import type { LibvirtSession } from './session.ts';

const REDEFINE = 1;
const CURRENT = 2;
const REVERT_RUNNING = 1;
const REVERT_PAUSED = 2;
const REVERT_FORCE = 4;
const DELETE_METADATA_ONLY = 2;

/** Calls about snapshots. */
export function snapshotCalls(session: LibvirtSession): SnapshotCalls {
  return {
    async listSnapshots(domain: string, options?: CallOptions): Promise<readonly DomainSnapshot[]> {
      const args = (ref: DomainRef): { domain: DomainRef; wantResults: number; flags: number } => ({
        domain: ref,
        wantResults: 1,
        flags: 0,
      });
      const { snapshots } = await session.onDomain(procedures.snapshotListAll, domain, args, 'Listing snapshots of', options);
      if (snapshots.length === 0) return [];
      const [current, ...texts] = await Promise.all([
        currentOf(session, domain, options),
        ...snapshots.map(async (snapshot) => await textOf(session, snapshot, options)),
      ]);
      return sortSnapshots(texts.filter((text) => text !== undefined).map((text) => snapshotOf(text, current)));
    },

    async snapshotXml(domain: string, name: string, options?: CallOptions): Promise<string> {
      const text = await textOf(session, await snapshotOfDomain(session, domain, name, options), options);
      if (text === undefined) throw new EngineError('snapshot.missing', `VM ${domain} has no snapshot ${name}.`);
      return text;
    },

    async createSnapshot(
      domain: string,
      xml: string,
      how: { readonly redefine?: boolean; readonly current?: boolean } = {},
      options?: CallOptions,
    ): Promise<void> {
      const redefine = how.redefine === true;
      const name = textXml(readXml(xml, { what: 'The description of a snapshot', code: 'input.invalid' }), 'name') ?? '';
      if (!redefine && name !== '') await refuseExisting(session, domain, name, options);
      // libvirt accepts "current" only together with "redefine"; a new snapshot is current anyway.
      const flags = redefine ? REDEFINE | (how.current === true ? CURRENT : 0) : 0;
      const args = (ref: DomainRef): { domain: DomainRef; xml: string; flags: number } => ({ domain: ref, xml, flags });
      await session.onDomain(procedures.snapshotCreate, domain, args, `Taking snapshot ${name} of`, options);
    },

    async revertSnapshot(
      domain: string,
      name: string,
      how: { readonly state?: 'running' | 'paused' } = {},
      options?: CallOptions,
    ): Promise<void> {
      const snapshot = await snapshotOfDomain(session, domain, name, options);
      const flags = how.state === 'running' ? REVERT_RUNNING : how.state === 'paused' ? REVERT_PAUSED : 0;
      const doing = `Reverting VM ${domain} to snapshot ${name}`;
      try {
        await session.call(procedures.snapshotRevert, { snapshot, flags }, doing, options);
      } catch (error) {
        // "Risky" means that a new QEMU process is needed or the snapshot lacks the domain's definition; a revert accepts both.
        if (libvirtCode(error) !== LIBVIRT_ERROR.revertRisky) throw error;
        await session.call(procedures.snapshotRevert, { snapshot, flags: flags | REVERT_FORCE }, doing, options);
      }
    },

    async deleteSnapshot(
      domain: string,
      name: string,
      how: { readonly metadataOnly?: boolean } = {},
      options?: CallOptions,
    ): Promise<void> {
      const snapshot = await snapshotOfDomain(session, domain, name, options);
      const flags = how.metadataOnly === true ? DELETE_METADATA_ONLY : 0;
      await session.call(procedures.snapshotDelete, { snapshot, flags }, `Deleting snapshot ${name} of VM ${domain}`, options);
    },
  };
}

async function snapshotOfDomain(
  session: LibvirtSession,
  domain: string,
  name: string,
  options: CallOptions | undefined,
): Promise<SnapshotRef> {
  try {
    return (
      await session.onDomain(
        procedures.snapshotLookupByName,
        domain,
        (ref) => ({ domain: ref, name, flags: 0 }),
        `Looking for snapshot ${name} of`,
        options,
      )
    ).snapshot;
  } catch (error) {
    if (libvirtCode(error) !== LIBVIRT_ERROR.noSnapshot) throw error;
    throw new EngineError('snapshot.missing', `VM ${domain} has no snapshot ${name}.`, { cause: error });
  }
}

/** undefined when the snapshot has gone since it was listed. */
async function textOf(session: LibvirtSession, snapshot: SnapshotRef, options: CallOptions | undefined): Promise<string | undefined> {
  try {
    return (
      await session.call(procedures.snapshotGetXml, { snapshot, flags: 0 }, `Reading the description of snapshot ${snapshot.name}`, options)
    ).xml;
  } catch (error) {
    if (libvirtCode(error) === LIBVIRT_ERROR.noSnapshot) return undefined;
    throw error;
  }
}

async function currentOf(session: LibvirtSession, domain: string, options: CallOptions | undefined): Promise<string | undefined> {
  const args = (ref: DomainRef): { domain: DomainRef; flags: number } => ({ domain: ref, flags: 0 });
  try {
    return (await session.onDomain(procedures.snapshotCurrent, domain, args, 'Looking for the current snapshot of', options)).snapshot.name;
  } catch (error) {
    if (libvirtCode(error) === LIBVIRT_ERROR.noSnapshot) return undefined;
    throw error;
  }
}

/** libvirt itself would return an internal error that cannot be distinguished from others. */
async function refuseExisting(session: LibvirtSession, domain: string, name: string, options: CallOptions | undefined): Promise<void> {
  try {
    await snapshotOfDomain(session, domain, name, options);
  } catch (error) {
    if (error instanceof EngineError && error.code === 'snapshot.missing') return;
    throw error;
  }
  throw new EngineError('snapshot.exists', `VM ${domain} already has a snapshot ${name}.`, {
    hint: 'Choose another name, or delete that one first.',
  });
}
