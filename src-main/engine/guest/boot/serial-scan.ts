/** Something that the serial console showed, and when (ms since the epoch; null when it was printed before anybody looked). */
export interface Sign {
  readonly at: number | null;
  /** The line, cleaned and shortened. */
  readonly line: string;
}

/** What the serial console has shown since the VM's last boot. */
export interface SerialSigns {
  /** Whether anything was printed. */
  readonly printed: boolean;
  /** The first line of a bootloader or firmware. */
  readonly bootloader: Sign | undefined;
  readonly kernel: Sign | undefined;
  /** A guest that printed that it cannot go on: a kernel panic, no root file system, nothing to boot. */
  readonly fatal: Failure | undefined;
  readonly prompt: Sign | undefined;
  readonly cloudInit: Sign | undefined;
  /** The last lines, oldest first. */
  readonly lines: readonly string[];
}

/** A sign of failure, with the lines that led to it. */
export interface Failure extends Sign {
  readonly kind: FatalKind;
  readonly lines: readonly string[];
}

export type FatalKind = 'no-boot-device' | 'panic' | 'no-root' | 'emergency';

const LINES = 10;
const LINE_LENGTH = 200;

const BOOTLOADER =
  /\b(?:GRUB|SYSLINUX|ISOLINUX|EXTLINUX|SeaBIOS|iPXE|BdsDxe|U-Boot)\b|Booting from (?:Hard Disk|DVD|ROM)|^Loading (?:Linux|initial ramdisk)/;
const KERNEL = /\bLinux (?:version )?\d+\.\d|^\[ *\d+\.\d{3,}\]|\b(?:Free|Net|Open)BSD \d/;
const NEW_KERNEL = /\bLinux version \d/;
/** A kernel that says little; after a failure it is of the next boot. */
const NEW_BOOT = /\bLinux \d+\.\d/;
/** The last words of a Linux kernel before the machine starts over. */
const RESTART = /\breboot: (?:Restarting system|machine restart)\b/;
const PROMPT = /(?:^|\s)login: ?$/;
const CLOUD_INIT = /\bCloud-init v\. ?\S+ finished at/i;
const FATAL: readonly (readonly [FatalKind, RegExp])[] = [
  ['panic', /\bKernel panic - not syncing\b|^panic: /],
  [
    'no-boot-device',
    /\bNo bootable device\b|not a bootable disk|\bgrub rescue>|\berror: (?:no such (?:partition|device)|unknown filesystem)/i,
  ],
  ['no-root', /\bALERT! +.* does not exist\b|Gave up waiting for (?:root|suspend)|\bdracut.*Could not boot\b|\(initramfs\)/],
  ['emergency', /\bYou are in (?:emergency|rescue) mode\b|Entering emergency mode|for maintenance\b.*Control-D/],
];

/** Prompts of a guest that cannot go on by itself. */
const SHELL = /(?:grub rescue>|\(initramfs\)|Control-D to continue\):)$/;

/** Escape sequences of a terminal, and what is left of control characters. */
// oxlint-disable-next-line no-control-regex -- they are what it removes
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

/** Reads a serial console, in pieces of any size, for signs of how far the guest has booted. What a guest prints is never more than text. */
export class SerialScan {
  readonly #decoder = new TextDecoder();
  #rest = '';
  #lines: string[] = [];
  #printed = false;
  #bootloader: Sign | undefined;
  #kernel: Sign | undefined;
  #fatal: SerialSigns['fatal'];
  #prompt: Sign | undefined;
  #cloudInit: Sign | undefined;
  /** What comes next is of the next boot. */
  #restarting = false;

  /** Returns whether it showed a sign that was not known. */
  push(bytes: Uint8Array, at: number | null): boolean {
    const before = [this.#printed, this.#bootloader, this.#kernel, this.#fatal, this.#prompt, this.#cloudInit];
    const text = this.#rest + this.#decoder.decode(bytes, { stream: true });
    const parts = text.split(/\r*\n|\r+/);
    // A prompt has no end of line. A line without an end must not grow for ever.
    this.#rest = (parts.pop() ?? '').slice(-4 * LINE_LENGTH);
    for (const part of parts) this.#line(part, at);
    this.#open(clean(this.#rest), at);
    const after = [this.#printed, this.#bootloader, this.#kernel, this.#fatal, this.#prompt, this.#cloudInit];
    return after.some((sign, index) => sign !== before[index]);
  }

  /** The guest starts over. */
  reset(): void {
    this.#rest = '';
    this.#lines = [];
    this.#printed = this.#restarting = false;
    this.#bootloader = this.#kernel = this.#fatal = this.#prompt = this.#cloudInit = undefined;
  }

  signs(): SerialSigns {
    const open = clean(this.#rest);
    return {
      printed: this.#printed,
      bootloader: this.#bootloader,
      kernel: this.#kernel,
      fatal: this.#fatal,
      prompt: this.#prompt,
      cloudInit: this.#cloudInit,
      lines: open === '' ? this.#lines : [...this.#lines, open].slice(-LINES),
    };
  }

  /** A line without an end: only a prompt means anything already. */
  #open(line: string, at: number | null): void {
    if (line === '') return;
    this.#printed = true;
    if (PROMPT.test(line)) this.#prompt ??= { at, line };
    if (SHELL.test(line)) this.#fail(line, at);
  }

  #line(raw: string, at: number | null): void {
    const line = clean(raw);
    if (line === '') return;
    this.#printed = true;
    this.#lines = [...this.#lines, line].slice(-LINES);
    const sign = { at, line };
    if (this.#startsOver(line)) {
      this.reset();
      this.#printed = true;
      this.#lines = [line];
    }
    if (BOOTLOADER.test(line)) {
      if (this.#kernel === undefined) this.#bootloader ??= sign;
    } else if (KERNEL.test(line)) this.#kernel ??= sign;
    if (CLOUD_INIT.test(line)) this.#cloudInit ??= sign;
    if (PROMPT.test(line)) this.#prompt ??= sign;
    this.#fail(line, at);
    this.#restarting = RESTART.test(line);
  }

  #fail(line: string, at: number | null): void {
    if (this.#fatal !== undefined) return;
    const kind = FATAL.find(([, pattern]) => pattern.test(line))?.[0];
    if (kind !== undefined) this.#fatal = { at, line, kind, lines: this.#lines };
  }

  /** Whether what was known is of the boot before. */
  #startsOver(line: string): boolean {
    if (this.#restarting) return true;
    if (this.#fatal !== undefined && (NEW_BOOT.test(line) || BOOTLOADER.test(line))) return true;
    if (!NEW_KERNEL.test(line)) return false;
    return this.#prompt !== undefined || (this.#kernel !== undefined && NEW_KERNEL.test(this.#kernel.line));
  }
}

function clean(raw: string): string {
  const text = raw
    .replace(ESCAPES, '')
    .replace(/\p{Cc}/gu, ' ')
    .trimEnd();
  return text.length > LINE_LENGTH ? `${text.slice(0, LINE_LENGTH)}…` : text;
}
