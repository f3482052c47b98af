import { createHash } from 'node:crypto';
import { EngineError } from '../../../src-shared/errors.ts';

/**
 * A libvirt name that identifies the environment: eight hex digits of the prefix's uuid and the name. If `maxLength` is below 16, four
 * digits are used; a name that does not fit is replaced by the beginning of its SHA-1. All versions of Lago use this rule.
 */
export function prefixedName(uuid: string, name: string, maxLength = 0): string {
  if (maxLength !== 0 && maxLength < 6)
    throw new EngineError('internal', `A prefixed name cannot be made of less than 6 characters (${name}).`);
  const short = maxLength !== 0 && maxLength < 16;
  const mark = `${uuid.slice(0, short ? 4 : 8)}-`;
  const room = maxLength - mark.length;
  if (maxLength === 0 || name.length <= room) return mark + name;
  return mark + createHash('sha1').update(name).digest('hex').slice(0, room);
}

/** libvirt's name of a VM. */
export function domainName(uuid: string, vm: string): string {
  return prefixedName(uuid, vm);
}

/** libvirt's name of a network, 15 characters at most so that it can name an interface too. */
export function networkName(uuid: string, net: string): string {
  return prefixedName(uuid, net, 15);
}

/**
 * The Linux bridge of a network has the network's own libvirt name, so that no two networks of an environment share one. (Lago cut NAT
 * bridges after 12 characters, so network1 and network2 ended up on the same bridge.)
 */
export function bridgeName(uuid: string, net: { readonly name: string }): string {
  return networkName(uuid, net.name);
}
