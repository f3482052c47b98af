/*
 * What a hypervisor must support to run a kernel, in 512 bytes: page tables, PAE, EFER, long mode, a task state segment, ring 3, CPUID in
 * ring 3, an exception from ring 3 into ring 0, an I/O port. Each row: machine code, then what it does.
 */
const LISTING: readonly (readonly [code: string, what: string])[] = [
  ['fa 31c0 8ed8 8ec0 8ed0 bc007c', 'cli; ax, ds, es, ss = 0; sp = 7c00'],
  ['66bf00100000 0f22df', 'edi = cr3 = 1000: the first page table'],
  ['6631c0 66b900180000 fc 66f3ab', 'zero 1000..6fff'],
  ['c70600100720', 'level 4 at 1000, entry 0: level 3 at 2000, for user code'],
  ['c70600200730', 'level 3, entry 0: level 2 at 3000'],
  ['c70600308700', 'level 2, entry 0: a page of 2 MiB at 0'],
  ['c7060460007c', 'task state at 6000: ring 0 stack at 7c00'],
  ['c7066050987c c606625008 c60665508e', 'interrupt table at 5000, entry 6 (invalid opcode): handler 7c98 in segment 08'],
  ['0f20e0 0c20 0f22e0', 'cr4: PAE'],
  ['66b9800000c0 0f32 80cc01 0f30', 'EFER: long mode'],
  ['0f20c0 660d01000080 0f22c0', 'cr0: protected mode, paging'],
  ['0f0116d87c 0f011ede7c', 'lgdt 7cd8; lidt 7cde'],
  ['ea7a7c0800', 'jmp 08:7c7a, 64-bit from here'],
  ['b828000000 0f00d8', 'ltr 28'],
  ['6a23 68007a0000 6a02 6a1b 68947c0000 48cf', 'iretq to ring 3 at 7c94, stack 7a00'],
  ['0fa2 0f0b', 'ring 3: cpuid; ud2'],
  ['b021 e6f4 f4 ebfd', 'handler: out f4, 21; hlt for ever'],
  ['90', 'padding'],
  ['0000000000000000', 'segments: none'],
  ['00000000009a2000', '08: ring 0 code, 64-bit'],
  ['0000000000920000', '10: ring 0 data'],
  ['0000000000fa2000', '18: ring 3 code, 64-bit'],
  ['0000000000f20000', '20: ring 3 data'],
  ['6700006000890000 0000000000000000', '28: task state at 6000'],
  ['3700 a07c0000', 'at 7cd8: size and place of the segments'],
  ['6f00 00500000', 'at 7cde: size and place of the interrupt table'],
];

const SIZE = 512;

/** QEMU's exit status after the boot sector ran to its end: isa-debug-exit turns the value written to its port into (value << 1) | 1. */
export const BOOT_SECTOR_EXIT = (0x21 << 1) | 1;

/** The boot sector as the 512 bytes of a raw disk. */
export function bootSector(): Uint8Array {
  const code = Buffer.from(LISTING.map(([hex]) => hex.replaceAll(' ', '')).join(''), 'hex');
  const sector = Buffer.alloc(SIZE);
  code.copy(sector);
  sector.writeUInt16LE(0xaa55, SIZE - 2);
  return sector;
}
