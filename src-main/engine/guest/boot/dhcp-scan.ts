import type { Sign } from './serial-scan.ts';

/** What the DHCP server of a network has said about one network card since its guest last booted. */
export interface DhcpSigns {
  readonly asked: Sign | undefined;
  readonly given: (Sign & { readonly address: string }) | undefined;
  /** Why it was not given one. */
  readonly denied: Sign | undefined;
  /** The last lines about it, oldest first. */
  readonly lines: readonly string[];
}

const LINES = 6;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Reads dnsmasq's log for one network card. Lines from before `since` (ms since the epoch) are of an earlier boot. */
export class DhcpScan {
  readonly #mac: string;
  readonly #since: number;
  readonly #decoder = new TextDecoder();
  #rest = '';
  #lines: string[] = [];
  #asked: Sign | undefined;
  #given: DhcpSigns['given'];
  #denied: Sign | undefined;

  constructor(mac: string, since: number) {
    this.#mac = mac.toLowerCase();
    // The log has whole seconds.
    this.#since = Math.floor(since / 1000) * 1000;
  }

  /** Returns whether it told anything new. */
  push(bytes: Uint8Array): boolean {
    const before = [this.#asked, this.#given, this.#denied];
    const parts = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split('\n');
    this.#rest = (parts.pop() ?? '').slice(-1000);
    for (const line of parts) this.#line(line);
    return [this.#asked, this.#given, this.#denied].some((sign, index) => sign !== before[index]);
  }

  /** A lease that libvirt knows, where the log cannot be read. Returns whether it is news. */
  lease(address: string, at: number | null): boolean {
    if (this.#given !== undefined) return false;
    this.#given = { at, address, line: `lease of ${address}` };
    return true;
  }

  signs(): DhcpSigns {
    return { asked: this.#asked, given: this.#given, denied: this.#denied, lines: this.#lines };
  }

  #forget(): void {
    this.#lines = [];
    this.#asked = this.#given = this.#denied = undefined;
  }

  #line(line: string): void {
    const found = /^(\w{3}) +(\d+) (\d\d):(\d\d):(\d\d) dnsmasq-dhcp\[\d+\]: (DHCP\w+)\([^)]*\) (.*)$/.exec(line);
    if (found === null) return;
    const [, month = '', day, hour, minute, second, what = '', about = ''] = found;
    if (!about.toLowerCase().split(' ').includes(this.#mac)) return;
    const at = timeOf(MONTHS.indexOf(month), Number(day), Number(hour), Number(minute), Number(second));
    if (at < this.#since) return;
    // Only a renewal goes without it: whoever discovers again has booted again, or has lost its link.
    if (what === 'DHCPDISCOVER' && this.#given !== undefined) this.#forget();
    const said = `${what} ${about}`.trim();
    this.#lines = [...this.#lines, said].slice(-LINES);
    const sign = { at, line: said };
    if (what === 'DHCPDISCOVER' || what === 'DHCPREQUEST') this.#asked ??= sign;
    if (what === 'DHCPACK') {
      this.#given = { ...sign, address: about.split(' ')[0] ?? '' };
      this.#denied = undefined;
    } else if (what === 'DHCPNAK' || /no address available|not using configured address/.test(about)) this.#denied = sign;
  }
}

/** The log has no year: a time in the future is of last year. */
function timeOf(month: number, day: number, hour: number, minute: number, second: number): number {
  const now = new Date();
  const at = new Date(now.getFullYear(), month, day, hour, minute, second).getTime();
  return at > now.getTime() + 24 * 3600 * 1000 ? new Date(now.getFullYear() - 1, month, day, hour, minute, second).getTime() : at;
}
