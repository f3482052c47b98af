/** IPv4 arithmetic of Lago's /24 networks: values in, values out. */

/** The four octets of a dotted IPv4 address; undefined for any other text. */
export function octetsOf(ip: string): readonly [number, number, number, number] | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(ip);
  if (match === null) return undefined;
  const octets = match.slice(1).map(Number);
  const [a, b, c, d] = octets;
  if (a === undefined || b === undefined || c === undefined || d === undefined || octets.some((octet) => octet > 255)) return undefined;
  return [a, b, c, d];
}

/** The number after the last dot, whatever precedes it (Lago read `999.999.999.150` as 150); undefined if there is none. */
export function lastOctet(ip: string): number | undefined {
  const match = /\.(\d{1,3})$/.exec(ip);
  const octet = Number(match?.[1] ?? Number.NaN);
  return octet <= 255 ? octet : undefined;
}

/** The address in the /24 of `ip` whose last octet is `octet`. */
export function withLastOctet(ip: string, octet: number): string {
  return `${ip.slice(0, ip.lastIndexOf('.'))}.${octet}`;
}

/** The network address of an address's /24, such as `192.168.200.0`. Expects a valid address. */
export function subnetOf(ip: string): string {
  return withLastOctet(ip, 0);
}

export function sameSubnet(left: string, right: string): boolean {
  return octetsOf(left) !== undefined && subnetOf(left) === subnetOf(right);
}

/** The MAC address for an IPv4 address: `54:52:` and the four octets in hex, as in every version of Lago. */
export function macOf(ip: string): string {
  const octets = octetsOf(ip);
  if (octets === undefined) throw new RangeError(`not an IPv4 address: ${ip}`);
  return ['54', '52', ...octets.map((octet) => octet.toString(16).padStart(2, '0'))].join(':');
}

/** A network's unique local IPv6 prefix (64 bits), `fd8f:1391:3a82:N::`, where N is the gateway's third octet in decimal digits. */
export function ulaPrefixOf(gateway: string): string {
  return `fd8f:1391:3a82:${octetsOf(gateway)?.[2] ?? 0}::`;
}

/** True for the private ranges of RFC 1918. */
export function isPrivate(ip: string): boolean {
  const octets = octetsOf(ip);
  if (octets === undefined) return false;
  const [a, b] = octets;
  return a === 10 || (a === 172 && b >= 16 && b <= 31) || (a === 192 && b === 168);
}

/** Where a forward to this port of a VM is found on this machine: the URL of a web server's port, the bare address of any other. */
export function forwardAddress(port: number, localPort: number): string {
  const address = `127.0.0.1:${localPort}`;
  if ([443, 8443].includes(port)) return `https://${address}`;
  return [80, 3000, 5000, 8000, 8008, 8080].includes(port) ? `http://${address}` : address;
}
