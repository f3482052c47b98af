/**
 * The beginning of a file from which libvirt restores a domain (`LibvirtQemudSave`, version 2): magic, five little-endian words (version,
 * length of what follows up to QEMU's stream, whether the domain was running, compression, offset of a cookie), 14 unused words, and the
 * domain's description with a NUL. QEMU's migration stream follows as it is. Source: `qemu_saveimage.h` of libvirt 9.0.
 */

const MAGIC = 'LibvirtQemudSave';
const VERSION = 2;
const WORDS = 19;
const HEADER = MAGIC.length + 4 * WORDS;
/** The stream begins at a multiple of this, so that it can be read without a cache. */
const ALIGNMENT = 4096;

/** What precedes QEMU's stream; `xml` is the migratable description of the domain. */
export function saveImageHead(xml: string): Buffer {
  const text = Buffer.from(`${xml}\0`, 'utf8');
  const size = Math.ceil((HEADER + text.length) / ALIGNMENT) * ALIGNMENT;
  const head = Buffer.alloc(size);
  head.write(MAGIC, 0, 'latin1');
  head.writeUInt32LE(VERSION, MAGIC.length);
  head.writeUInt32LE(size - HEADER, MAGIC.length + 4);
  // Was running: the caller of the restore says in which state it goes on.
  head.writeUInt32LE(1, MAGIC.length + 8);
  text.copy(head, HEADER);
  return head;
}
